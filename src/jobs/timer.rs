//! When a job runs, and how its trouble is told.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::View;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::domain::rng::{self, Rng};

/// Shortest pause between two runs, however often the view changes.
const SETTLE: Duration = Duration::from_millis(100);

/// Runs a job until it is stopped.
#[derive(Debug)]
pub struct Timer {
    /// The job's name in the log.
    pub name: &'static str,
    /// Time between two runs; the real one is up to a tenth shorter or longer, so that nodes spread.
    pub every: Duration,
    /// Longest time of one run.
    pub limit: Duration,
    /// Runs the job also when the view has changed.
    pub views: Option<watch::Receiver<Arc<View>>>,
    /// Runs the job also when it is told to.
    pub wake: Option<Arc<Notify>>,
    /// Ends the job; a run that is under way is dropped at its next wait.
    pub stop: CancellationToken,
    /// For the spread.
    pub rng: Arc<dyn Rng>,
}

impl Timer {
    /// Runs `work` again and again until the stop. Trouble is logged when it begins, changes or ends.
    pub async fn run<E, F>(mut self, mut work: impl FnMut() -> F)
    where
        E: Debug,
        F: Future<Output = Result<(), E>>,
    {
        let mut trouble = None;
        while !self.stop.is_cancelled() {
            let due = Instant::now() + self.spread();
            let result = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                result = tokio::time::timeout(self.limit, work()) => result,
            };
            let now = match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{error:?}")),
                Err(_) => Some(format!("not finished within {:?}", self.limit)),
            };
            tell(self.name, trouble.as_deref(), now.as_deref());
            trouble = now;
            self.rest(due).await;
        }
    }

    /// Waits until the next run is due, the view has changed or somebody wakes the job.
    async fn rest(&mut self, due: Instant) {
        let changed = async {
            sleep(SETTLE).await;
            match &mut self.views {
                // An error means that the node is gone; then there is nothing to wake up for.
                Some(views) => {
                    if views.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                None => std::future::pending().await,
            }
        };
        let woken = async {
            match &self.wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep_until(due) => {}
            () = changed => {}
            () = woken => {}
        }
    }

    fn spread(&self) -> Duration {
        let [byte] = rng::bytes::<1>(self.rng.as_ref());
        self.every.mul_f64(0.9 + 0.2 * f64::from(byte) / 255.0)
    }
}

fn tell(job: &'static str, before: Option<&str>, now: Option<&str>) {
    match (before, now) {
        (before, Some(trouble)) if before != Some(trouble) => {
            tracing::warn!(job, trouble, "a job does not get its work done");
        }
        (Some(_), None) => tracing::info!(job, "the job works again"),
        (_, Some(_)) | (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::domain::rng::OsRng;

    fn timer(every: Duration) -> Timer {
        let (stop, rng) = (CancellationToken::new(), Arc::new(OsRng));
        Timer { name: "test", every, limit: Duration::from_secs(5), views: None, wake: None, stop, rng }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_runs_at_once_and_then_about_every_interval_whatever_its_outcome() {
        let timer = timer(Duration::from_secs(10));
        let (stop, runs) = (timer.stop.clone(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let job = tokio::spawn(timer.run(move || {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move { if run == 1 { Err("planted") } else { Ok(()) } }
        }));
        // 0 s, then every 9 to 11 s.
        tokio::time::sleep(Duration::from_secs(35)).await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        stop.cancel();
        job.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_woken_runs_at_once() {
        let wake = Arc::new(Notify::new());
        let timer = Timer { wake: Some(Arc::clone(&wake)), ..timer(Duration::from_secs(3600)) };
        let (stop, runs) = (timer.stop.clone(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let job = tokio::spawn(timer.run(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok::<(), &str>(()))
        }));
        for woken in 0..3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(runs.load(Ordering::Relaxed), woken + 1);
            wake.notify_one();
        }
        stop.cancel();
        job.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_hangs_is_given_up_and_the_stop_is_heeded_within_a_run() {
        let timer = timer(Duration::from_secs(1));
        let (stop, runs) = (timer.stop.clone(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&runs);
        let job = tokio::spawn(timer.run(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), &str>>()
        }));
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert!((2..=3).contains(&runs.load(Ordering::Relaxed)));
        stop.cancel();
        job.await.unwrap();
    }
}
