//! Threads for long work beside the log: snapshots and files. The control plane's own threads go before everybody else's
//! and those that they make inherit that, so such work has to step back by itself, or it would hold up requests.

use std::io;
use std::thread;

/// A place in the scheduler's order (nice, `setpriority(2)`); lower goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// That of the threads which answer requests: somebody waits for it.
    WithRequests,
    /// Behind them: nobody waits for it. It still gets a tenth of a processor that they keep busy.
    AfterRequests,
}

impl Place {
    const fn niceness(self) -> i32 {
        match self {
            Self::WithRequests => 0,
            Self::AfterRequests => 10,
        }
    }

    /// Moves the calling thread there, for good: to go forward again needs a right that the process may lack.
    pub(crate) fn take(self) {
        if let Err(error) = rustix::process::setpriority_process(None, self.niceness()) {
            tracing::debug!(%error, "a background thread keeps the priority that it was started with");
        }
    }
}

/// Runs `work` on a thread of its own in that place. The end of the runtime waits for it as for any blocking work.
///
/// # Errors
/// The thread could not be started, or panicked.
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    place: Place,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let builder = thread::Builder::new().name(name.to_owned());
    let ended = tokio::task::spawn_blocking(move || {
        let started = builder.spawn(move || {
            place.take();
            work()
        });
        started.map(thread::JoinHandle::join)
    })
    .await;
    match ended {
        Ok(Ok(Ok(result))) => Ok(result),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Err(_))) | Err(_) => Err(io::Error::other("a background thread panicked")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn work_steps_back_and_leaves_others_where_they_are() {
        let before = own_niceness();
        assert_eq!(run("test", Place::AfterRequests, own_niceness).await.unwrap(), 10);
        assert_eq!(own_niceness(), before);
        assert_eq!(tokio::task::spawn_blocking(own_niceness).await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = run("test", Place::WithRequests, || panic!("on purpose")).await.unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
