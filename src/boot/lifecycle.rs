//! The life of the process: every task is spawned here, tracked, told to stop, and joined.
//!
//! Two signals to tasks: *soft* (take nothing new, finish what is in hand) and *hard* (stop now). SIGTERM
//! or SIGINT is soft; a second one, or the end of the grace, is hard. A task that fails or panics brings
//! the process down softly with a failing exit, so that whoever supervises us starts it again.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks have after the hard signal before they are aborted.
const HARD_GRACE: Duration = Duration::from_secs(2);

/// The two stop signals, as tasks see them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take nothing new, finish what is in hand.
    pub soft: CancellationToken,
    /// Stop now. Always preceded by `soft`.
    pub hard: CancellationToken,
}

impl Shutdown {
    fn stop_now(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }
}

/// How the process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Every task finished in time and without fault.
    Clean,
    /// A task failed or panicked; the text names it.
    Failed(String),
    /// These tasks had to be stopped by force.
    Forced(Vec<String>),
}

/// The tasks of the process.
#[derive(Clone)]
pub struct Lifecycle {
    shutdown: Shutdown,
    tracker: TaskTracker,
    grace: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, (String, AbortHandle)>,
    failure: Option<String>,
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// A process that gives its tasks `grace` to finish after the soft signal.
    pub fn new(grace: Duration) -> Self {
        Self { shutdown: Shutdown::default(), tracker: TaskTracker::new(), grace, state: Arc::default() }
    }

    /// The stop signals.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Spawns a task that runs until the soft signal. Ending with `Err` or by panic is a failure of the
    /// process; ending with `Ok` is the task's own matter.
    pub fn spawn<E: fmt::Display + Send>(
        &self,
        name: impl Into<String>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let name = name.into();
        let (life, label) = (self.clone(), name.clone());
        // The lock is held until the handle is registered, so the task cannot end before that.
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let handle = self.tracker.spawn(async move {
            let failure = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{label}: {error}")),
                Err(_) => Some(format!("{label}: panicked")),
            };
            life.ended(id, failure);
        });
        state.running.insert(id, (name, handle.abort_handle()));
    }

    fn ended(&self, id: u64, failure: Option<String>) {
        let mut state = self.lock();
        state.running.remove(&id);
        if let Some(failure) = failure {
            tracing::error!(%failure, "a task failed; the process stops");
            // The first failure is the cause; later ones are often its consequences.
            state.failure.get_or_insert(failure);
            self.shutdown.soft.cancel();
        }
    }

    /// The names of the tasks that still run.
    pub fn running(&self) -> Vec<String> {
        self.lock().running.values().map(|(name, _)| name.clone()).collect()
    }

    /// Waits for SIGTERM, SIGINT or the failure of a task, then drains. Returns when every task is joined.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub async fn run(self) -> io::Result<Exit> {
        let mut signals = Signals::install()?;
        tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, grace = ?self.grace, "stopping");
                self.shutdown.soft.cancel();
            }
            () = self.shutdown.soft.cancelled() => {}
        }
        let hurry = async move {
            let name = signals.next().await;
            tracing::warn!(signal = name, "second signal: stopping now");
        };
        Ok(self.drain(hurry).await)
    }

    /// Gives the soft signal, and the hard one at the end of the grace or when `hurry` resolves; aborts
    /// what does not even heed that; joins everything.
    pub async fn drain(self, hurry: impl Future<Output = ()>) -> Exit {
        self.shutdown.soft.cancel();
        self.tracker.close();
        let in_time = tokio::select! {
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(self.grace) => false,
            () = hurry => false,
        };
        let mut forced = Vec::new();
        if !in_time {
            tracing::warn!(tasks = ?self.running(), "tasks did not finish in the grace");
            self.shutdown.stop_now();
            if tokio::time::timeout(HARD_GRACE, self.tracker.wait()).await.is_err() {
                forced = self.running();
                for (_, handle) in self.lock().running.values() {
                    handle.abort();
                }
                tracing::error!(tasks = ?forced, "tasks aborted");
                // An aborted task is dropped at its next await; one that never awaits is the only reason
                // for this wait to end by its bound.
                let _ = tokio::time::timeout(HARD_GRACE, self.tracker.wait()).await;
            }
        }
        match (self.lock().failure.take(), forced.is_empty()) {
            (Some(failure), _) => Exit::Failed(failure),
            (None, false) => Exit::Forced(forced),
            (None, true) => Exit::Clean,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use nix::sys::signal::{Signal as Sig, raise};

    use super::*;

    fn life() -> Lifecycle {
        Lifecycle::new(Duration::from_secs(5))
    }

    async fn ok_after(token: CancellationToken) -> Result<(), Infallible> {
        token.cancelled().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_heed_the_soft_signal_end_cleanly() {
        let life = life();
        life.spawn("a", ok_after(life.shutdown().soft.clone()));
        life.spawn("b", ok_after(life.shutdown().soft.clone()));
        assert_eq!(life.running(), ["a", "b"]);
        assert_eq!(life.clone().drain(pending()).await, Exit::Clean);
        assert!(life.running().is_empty());
        assert!(!life.shutdown().hard.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_grace_comes_the_hard_signal_and_then_force() {
        let life = life();
        life.spawn("slow", ok_after(life.shutdown().hard.clone()));
        let started = tokio::time::Instant::now();
        assert_eq!(life.clone().drain(pending()).await, Exit::Clean);
        assert_eq!(started.elapsed().as_secs(), 5);

        let life = self::life();
        life.spawn("deaf", pending::<Result<(), Infallible>>());
        assert_eq!(life.clone().drain(pending()).await, Exit::Forced(vec!["deaf".into()]));
        assert!(life.tracker.is_empty(), "an aborted task is joined too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hurry_cuts_the_grace_short() {
        let life = life();
        life.spawn("slow", ok_after(life.shutdown().hard.clone()));
        let started = tokio::time::Instant::now();
        assert_eq!(life.clone().drain(std::future::ready(())).await, Exit::Clean);
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_failure_or_panic_of_a_task_stops_the_process_and_is_named() {
        for panics in [false, true] {
            let life = life();
            life.spawn("other", ok_after(life.shutdown().soft.clone()));
            life.spawn("log", async move {
                assert!(!panics, "planted");
                Err("disk full")
            });
            let expected = if panics { "log: panicked" } else { "log: disk full" };
            life.shutdown().soft.cancelled().await;
            assert_eq!(life.drain(pending()).await, Exit::Failed(expected.into()));
        }
    }

    #[tokio::test]
    async fn a_first_sigterm_is_soft_and_a_second_one_hard() {
        let life = Lifecycle::new(Duration::from_secs(60));
        let shutdown = life.shutdown().clone();
        life.spawn("slow", ok_after(shutdown.hard.clone()));
        let mut run = Box::pin(life.run());
        // The first poll installs the handlers; from then on the signals are ours.
        assert!(futures::poll!(&mut run).is_pending());
        let signals = async {
            raise(Sig::SIGTERM).unwrap();
            shutdown.soft.cancelled().await;
            assert!(!shutdown.hard.is_cancelled());
            raise(Sig::SIGINT).unwrap();
        };
        let (exit, ()) = tokio::join!(run, signals);
        assert_eq!(exit.unwrap(), Exit::Clean);
    }
}
