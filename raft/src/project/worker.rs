//! The thread that blocks on the disk, so that nothing async ever does. A disk that hangs holds up this
//! thread alone; the end of the process does not wait for it.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use hellojohn_control::View;
use tokio::sync::oneshot;

use super::engine::{Engine, Summary};
use super::progress::Progress;
use super::report::Depth;
use crate::background::Place;

struct Job {
    view: Arc<View>,
    scan: Option<Depth>,
    answer: oneshot::Sender<Summary>,
}

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    ended: oneshot::Receiver<()>,
}

/// The thread ended before it answered: it panicked.
#[derive(Debug)]
pub(super) struct Gone;

impl Worker {
    pub(super) fn start(mut engine: Engine, progress: Arc<Progress>) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (ending, ended) = oneshot::channel();
        thread::Builder::new().name("projector".into()).spawn(move || {
            Place::AfterRequests.take();
            for job in inbox {
                let summary = engine.run(&job.view, job.scan, &progress);
                // The task stopped waiting because the process ends.
                drop(job.answer.send(summary));
            }
            engine.close();
            // Nobody waits if the process ended first.
            let _ended = ending.send(());
        })?;
        Ok(Self { jobs, ended })
    }

    /// Hands a run over; the answer comes when the files are written.
    pub(super) fn begin(
        &self,
        view: Arc<View>,
        scan: Option<Depth>,
    ) -> Result<oneshot::Receiver<Summary>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { view, scan, answer }).map(|()| answered).map_err(|_| Gone)
    }

    /// Lets the thread end after the run that it is at, and waits until it has.
    pub(super) async fn close(self) {
        let Self { jobs, ended } = self;
        drop(jobs);
        // An error means that the thread is gone already, which is as well.
        drop(ended.await);
    }
}
