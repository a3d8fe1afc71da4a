//! The task that decides when the worker runs: at once when the view changed, from time to time to compare,
//! and again after a failure, less and less often.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::View;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::engine::{Clock, Engine, Summary};
use super::index;
use super::progress::Progress;
use super::report::Depth;
use super::status::Board;
use super::worker::{Gone, Worker};

/// Every tenth scan reads all bytes, the others only what has another stamp.
const SCANS_PER_FULL: u32 = 10;
/// Rest between two runs, at least: entries that come meanwhile share the fsyncs of the next one.
const REST: Duration = Duration::from_millis(25);
/// Rest after a run, as a multiple of its length: under steady writes the files take a tenth of the disk's time
/// and leave the rest to the log, whose syncs somebody waits for.
const REST_PER_RUN: u32 = 9;
/// Rest between two runs, at most: what the files lag behind the state on a slow disk.
const LONGEST_REST: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Without a step for this long the disk counts as hung.
const STALL: Duration = Duration::from_secs(30);
/// How long the end waits for the file that is being written.
pub(super) const CLOSE: Duration = Duration::from_secs(5);

/// What the task shares with its handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) board: Board,
    pub(super) enabled: watch::Sender<bool>,
    pub(super) rescan: Notify,
    pub(super) stop: CancellationToken,
}

/// See the module.
pub(super) struct Task {
    pub(super) root: PathBuf,
    pub(super) now: Clock,
    pub(super) scan_interval: Duration,
    pub(super) views: watch::Receiver<Arc<View>>,
    pub(super) shared: Arc<Shared>,
    pub(super) progress: Arc<Progress>,
}

/// Why the task woke up.
enum Wake {
    Stop,
    View,
    Scan,
    Rescan,
}

/// When what is due.
struct Agenda {
    next_scan: Instant,
    scans: u32,
    failures: u32,
    rest: Duration,
}

impl Agenda {
    fn scheduled(&mut self, interval: Duration) -> Depth {
        self.next_scan = Instant::now() + interval;
        self.scans = self.scans.wrapping_add(1);
        if self.scans.is_multiple_of(SCANS_PER_FULL) { Depth::Bytes } else { Depth::Stamps }
    }
}

impl Task {
    pub(super) async fn run(mut self, worker: Worker) {
        let mut worker = worker;
        if self.enabled().await {
            let mut agenda =
                Agenda { next_scan: Instant::now() + self.scan_interval, scans: 0, failures: 0, rest: REST };
            let mut scan = Some(Depth::Bytes);
            loop {
                let began = Instant::now();
                let Some(summary) = self.work(&mut worker, scan).await else { break };
                let wrote = summary.report.written + summary.report.removed > 0;
                agenda.rest = if wrote { rest(began.elapsed()) } else { REST };
                agenda.failures = if self.shared.board.note(&summary) { 0 } else { agenda.failures + 1 };
                scan = match self.wait(&agenda).await {
                    Wake::Stop => break,
                    Wake::View => None,
                    Wake::Rescan => Some(Depth::Bytes),
                    Wake::Scan => Some(agenda.scheduled(self.scan_interval)),
                };
            }
        }
        self.progress.stop();
        if timeout(CLOSE, worker.close()).await.is_err() {
            tracing::warn!("the disk does not answer: left the projection of files behind unfinished");
        }
    }

    async fn enabled(&self) -> bool {
        let mut enabled = self.shared.enabled.subscribe();
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => false,
            enabled = enabled.wait_for(|enabled| *enabled) => enabled.is_ok(),
        }
    }

    /// One run with the newest view; `None` when the end was asked for.
    async fn work(&mut self, worker: &mut Worker, scan: Option<Depth>) -> Option<Summary> {
        let view = Arc::clone(&self.views.borrow_and_update());
        let run = match worker.begin(view, scan) {
            Ok(answered) => self.answer(answered).await,
            Err(Gone) => Err(Gone),
        };
        match run {
            Ok(summary) => summary,
            Err(Gone) => Some(self.replace(worker)),
        }
    }

    async fn answer(&self, mut answered: oneshot::Receiver<Summary>) -> Result<Option<Summary>, Gone> {
        let mut steps = self.progress.steps();
        loop {
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return Ok(None),
                answer = timeout(STALL, &mut answered) => match answer {
                    Ok(answer) => return answer.map(Some).map_err(|_| Gone),
                    Err(_) if self.progress.steps() == steps => {
                        self.shared.board.degrade("the disk below CONTROL_PLANE_FS_ROOT does not answer");
                    }
                    Err(_) => steps = self.progress.steps(),
                },
            }
        }
    }

    /// A new thread that compares everything, after the old one panicked.
    fn replace(&self, worker: &mut Worker) -> Summary {
        let mut summary = Summary::default();
        summary.report.errors = 1;
        summary.report.error = Some("the projector's thread ended unexpectedly".to_owned());
        match self.start_worker() {
            Ok(new) => *worker = new,
            Err(error) => {
                summary.report.error = Some(format!("cannot start the projector's thread: {error}"));
            }
        }
        summary
    }

    /// A thread that knows nothing but the persisted index.
    pub(super) fn start_worker(&self) -> io::Result<Worker> {
        let persisted = index::read(&self.root)?;
        let engine = Engine::new(self.root.clone(), Arc::clone(&self.now), persisted);
        Worker::start(engine, Arc::clone(&self.progress))
    }

    async fn wait(&mut self, agenda: &Agenda) -> Wake {
        let failed = agenda.failures > 0;
        let now = Instant::now();
        let next_scan = if failed {
            now + backoff(agenda.failures, (self.now)().millis().unsigned_abs())
        } else {
            agenda.next_scan
        };
        let rested = now + agenda.rest;
        let view = async {
            sleep_until(rested).await;
            if self.views.changed().await.is_err() {
                // Nobody applies entries any more; the files stay watched until the end.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => Wake::Stop,
            () = self.shared.rescan.notified() => Wake::Rescan,
            () = sleep_until(next_scan) => if failed { Wake::View } else { Wake::Scan },
            () = view, if !failed => Wake::View,
        }
    }
}

/// How long to rest after a run that took `run`.
fn rest(run: Duration) -> Duration {
    run.saturating_mul(REST_PER_RUN).clamp(REST, LONGEST_REST)
}

/// 100 ms doubled with each failure up to 5 s, less a part of up to a half that `seed` picks, so that nodes on
/// one shared disk do not knock at the same time.
fn backoff(failures: u32, seed: u64) -> Duration {
    let whole = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LAST_RETRY);
    let half = whole / 2;
    let spread = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_millis(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31) % spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenth_scan_reads_all_bytes() {
        let mut agenda = Agenda { next_scan: Instant::now(), scans: 0, failures: 0, rest: REST };
        let depths: Vec<Depth> = (0..20).map(|_| agenda.scheduled(Duration::ZERO)).collect();
        for (n, depth) in (1..).zip(depths) {
            assert_eq!(depth == Depth::Bytes, n % 10 == 0, "scan {n}");
        }
    }

    #[test]
    fn the_rest_grows_with_the_run_within_bounds() {
        let millis = Duration::from_millis;
        for (run, expected) in [(0, 25), (2, 25), (10, 90), (100, 900), (500, 1_000)] {
            assert_eq!(rest(millis(run)), millis(expected), "{run}");
        }
        assert_eq!(rest(Duration::MAX), LONGEST_REST);
    }

    #[test]
    fn retries_become_rarer_within_bounds_and_do_not_keep_step() {
        for seed in [0, 1, 1_795_305_600_007, u64::MAX] {
            for failures in [1, 2, 3, 6, 7, 100, u32::MAX] {
                let wait = backoff(failures, seed);
                assert!(wait >= Duration::from_millis(50) && wait <= LAST_RETRY, "{failures}: {wait:?}");
            }
            assert!(backoff(1, seed) < FIRST_RETRY && backoff(u32::MAX, seed) >= LAST_RETRY / 2);
        }
        let waits: std::collections::BTreeSet<Duration> = (0..50).map(|seed| backoff(7, seed)).collect();
        assert!(waits.len() > 25);
    }
}
