//! Ends the process when a write of the Raft log hangs (ha.md).
//!
//! Nothing inside Raft can step down then: its core waits for the disk, and so does a stop in good order. The
//! peers elect another leader by themselves; this node must leave, so that whoever supervises it starts it anew
//! and it comes back as a follower. A thread of its own, because a runtime may wait for the same disk. Must not
//! wait for anything without a bound, and must not end a process whose disk is only slow.

use std::io::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::log::LogHandle;

/// Looks at a write while the patience lasts.
const LOOKS: u32 = 20;
/// How long telling why may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The running watchdog. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct FlushWatchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FlushWatchdog {
    /// Watches `log`; once one write has run for `patience`, calls `hung` and is done.
    pub(crate) fn start(
        log: LogHandle,
        patience: Duration,
        hung: impl FnOnce(Duration) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let tick = (patience / LOOKS).max(Duration::from_millis(1));
        let thread = std::thread::Builder::new().name("raft-flush-dog".to_owned()).spawn(move || {
            let mut watch = Watch { patience, tick, seen: Duration::ZERO };
            let mut last = Instant::now();
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                let since_last = last.elapsed();
                last = Instant::now();
                if watch.hangs(log.stats().flush_running_for, since_last) {
                    return hung(watch.seen);
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for FlushWatchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watchdog of the raft log panicked");
        }
    }
}

/// Ends the process with a failing exit code, and says why if that can still be said.
pub(crate) fn end_process(ran: Duration) {
    let why = format!("a write to raft/log has been running for {} ms; the disk hangs", ran.as_millis());
    let (said, heard) = channel();
    // The log may go to the disk that hangs.
    let last_words = std::thread::Builder::new().name("raft-last-words".to_owned()).spawn(move || {
        tracing::error!(why, "the process ends");
        // Nobody is left to complain to.
        drop(writeln!(std::io::stderr(), "hellojohn: {why}; the process ends"));
        let _gone = said.send(());
    });
    if last_words.is_ok() {
        // However it ended, it is over.
        let _heard = heard.recv_timeout(LAST_WORDS);
    }
    std::process::exit(1);
}

/// How long one write has been seen to run.
struct Watch {
    patience: Duration,
    tick: Duration,
    seen: Duration,
}

impl Watch {
    /// Counts only time in which this thread ran too: after a process or its machine was stopped, the write
    /// gets its time.
    fn hangs(&mut self, running_for: Option<Duration>, since_last: Duration) -> bool {
        self.seen = match running_for {
            None => Duration::ZERO,
            Some(ran) if ran < since_last => ran.min(self.tick),
            Some(_) => self.seen + since_last.min(self.tick * 2),
        };
        self.seen >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(500);

    fn watch() -> Watch {
        Watch { patience: TICK * LOOKS, tick: TICK, seen: Duration::ZERO }
    }

    #[test]
    fn one_write_that_never_ends_hangs_after_the_patience() {
        let mut watch = watch();
        let hung = (1..100_u32).find(|n| watch.hangs(Some(TICK * *n), TICK));
        assert_eq!(hung, Some(LOOKS));
    }

    #[test]
    fn a_disk_that_is_only_slow_is_left_alone() {
        let mut watch = watch();
        for n in 0..1_000_u32 {
            // Writes of up to nine and a half seconds, one after the other.
            let ran = TICK * (n % 19) + Duration::from_millis(1);
            assert!(!watch.hangs(Some(ran), TICK), "{n}");
        }
    }

    #[test]
    fn time_in_which_the_whole_process_stood_still_does_not_count() {
        let mut watch = watch();
        assert!(!watch.hangs(Some(TICK), TICK));
        assert!(!watch.hangs(Some(TICK * 200), TICK * 199));
        assert!(!watch.hangs(None, TICK));
        assert_eq!(watch.seen, Duration::ZERO);
    }
}
