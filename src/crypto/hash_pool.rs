//! The pool that password hashing runs on: a fixed number of threads and a short queue, because one hash
//! takes tens of megabytes and milliseconds and everybody may ask for one (spec §8).
//!
//! # Bounds
//! - Memory: `workers × ARGON2_MEMORY_KIB`, plus at most one stored hash that asks for more than that (an
//!   imported one, up to 1 GiB): a second one at the same time is answered [`PoolError::Busy`].
//! - Waiting: at most `queue` jobs; one more is answered [`PoolError::Busy`], which callers turn into 503 with
//!   `Retry-After`. A wait is therefore at most `queue / workers + 1` hashes long.
//! - A caller that goes away takes its job out of the queue; a hash that already runs is finished.
//!
//! Metrics: `hellojohn_hash_queue_waiting`, `hellojohn_hash_inflight`. Must never hash on a caller's thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::password::{HashError, HashParams, Hasher, Password, Verified};
use crate::domain::rng::Rng;

/// Jobs that wait when the configuration says nothing.
pub const DEFAULT_QUEUE: usize = 64;
const MAX_WORKERS: usize = 256;

/// Size of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Threads, so hashes at the same time; 1 to 256.
    pub workers: usize,
    /// Jobs that may wait for a thread.
    pub queue: usize,
}

impl Default for PoolLimits {
    /// A thread per core and [`DEFAULT_QUEUE`].
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { workers: cores.min(MAX_WORKERS), queue: DEFAULT_QUEUE }
    }
}

/// Why a pool cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Number of threads outside its range.
    #[error("the password hash pool needs 1 to {MAX_WORKERS} threads")]
    Workers,
    /// The parameters make no hash.
    #[error("no passwords can be hashed with these ARGON2_ settings: {0}")]
    Hash(#[from] HashError),
    /// The system gave no thread.
    #[error("cannot start a thread of the password hash pool: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Too many others are waiting: try again shortly.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The process is stopping.
    #[error("the password hash pool is shutting down")]
    ShuttingDown,
    /// The hash itself failed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// How busy the pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Jobs that wait for a thread.
    pub waiting: usize,
    /// Jobs that are being computed.
    pub inflight: usize,
}

type Reply<T> = oneshot::Sender<Result<T, PoolError>>;

enum Job {
    Hash { password: Password, reply: Reply<String> },
    Verify { password: Password, phc: Option<String>, reply: Reply<Verified> },
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Job::Hash { reply, .. } => reply.is_closed(),
            Job::Verify { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, why: PoolError) {
        // The receiver may be gone, and then nobody needs the answer.
        match self {
            Job::Hash { reply, .. } => drop(reply.send(Err(why))),
            Job::Verify { reply, .. } => drop(reply.send(Err(why))),
        }
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    inflight: usize,
    closing: bool,
}

impl State {
    fn publish(&self) {
        let gauge = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        metrics::gauge!("hellojohn_hash_queue_waiting").set(gauge(self.queue.len()));
        metrics::gauge!("hellojohn_hash_inflight").set(gauge(self.inflight));
    }
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// Held by the one comparison that takes more memory than the configured amount.
    heavy: Mutex<()>,
    /// Hashes begun since the start.
    begun: AtomicU64,
    limits: PoolLimits,
    hasher: Hasher,
    rng: Arc<dyn Rng>,
}

impl Shared {
    /// No code panics while it holds the lock, and the state would be sound if some did.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_room(&self, state: &mut State) -> Result<(), PoolError> {
        if state.closing {
            return Err(PoolError::ShuttingDown);
        }
        // An idle thread takes its job at once, so that job does not count as waiting.
        let idle = self.limits.workers.saturating_sub(state.inflight);
        let room = self.limits.queue.saturating_add(idle);
        if state.queue.len() >= room {
            state.queue.retain(|job| !job.is_abandoned());
        }
        if state.queue.len() >= room { Err(PoolError::Busy) } else { Ok(()) }
    }

    fn submit(&self, job: Job) -> Result<(), PoolError> {
        let mut state = self.state();
        self.check_room(&mut state)?;
        state.queue.push_back(job);
        state.publish();
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// The next job whose caller still waits; `None` when the pool closes. An idle thread waits here.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.closing {
                return None;
            }
            while let Some(job) = state.queue.pop_front() {
                if !job.is_abandoned() {
                    state.inflight += 1;
                    state.publish();
                    return Some(job);
                }
            }
            state.publish();
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, job: Job) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        // The receiver may have gone away meanwhile; its answer is dropped then.
        match job {
            Job::Hash { password, reply } => {
                drop(reply.send(self.hasher.hash(&*self.rng, &password).map_err(PoolError::from)));
            }
            Job::Verify { password, phc, reply } => drop(reply.send(self.verify(&password, phc.as_deref()))),
        }
    }

    fn verify(&self, password: &Password, phc: Option<&str>) -> Result<Verified, PoolError> {
        let turn = if phc.is_some_and(|phc| self.hasher.is_heavy(phc)) {
            Some(self.heavy.try_lock().map_err(|_| PoolError::Busy)?)
        } else {
            None
        };
        let verdict = self.hasher.verify(password, phc);
        drop(turn);
        Ok(verdict?)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // A panic must cost its caller an error, not the pool a thread; the reply is dropped on the way.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.run(job)));
            if outcome.is_err() {
                tracing::error!("a password hashing job panicked; please report it");
            }
            let mut state = self.state();
            state.inflight = state.inflight.saturating_sub(1);
            state.publish();
        }
    }

    fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        let waiting = std::mem::take(&mut state.queue);
        state.publish();
        drop(state);
        self.work.notify_all();
        for job in waiting {
            job.refuse(PoolError::ShuttingDown);
        }
    }
}

/// A bounded pool of hashing threads. Dropping it does what [`HashPool::shutdown`] does, on the thread that
/// drops it.
pub struct HashPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl HashPool {
    /// Starts the threads.
    pub fn start(params: HashParams, limits: PoolLimits, rng: Arc<dyn Rng>) -> Result<Self, StartError> {
        if !(1..=MAX_WORKERS).contains(&limits.workers) {
            return Err(StartError::Workers);
        }
        let hasher = Hasher::new(params, &*rng)?;
        let (state, work, heavy) = (Mutex::default(), Condvar::new(), Mutex::new(()));
        let begun = AtomicU64::new(0);
        let shared = Arc::new(Shared { state, work, heavy, begun, limits, hasher, rng });
        // From here on an early return drops the pool, which joins the threads that did start.
        let pool = Self { shared, threads: Mutex::default() };
        for number in 0..limits.workers {
            let shared = Arc::clone(&pool.shared);
            let thread =
                thread::Builder::new().name(format!("hash-{number}")).spawn(move || shared.work())?;
            pool.threads().push(thread);
        }
        Ok(pool)
    }

    /// Hashes `password` with the current parameters: a PHC string.
    pub async fn hash(&self, password: Password) -> Result<String, PoolError> {
        self.ask(|reply| Job::Hash { password, reply }).await
    }

    /// Compares `password` with a stored hash. `None` (no such user) costs the same work and says no (S60).
    pub async fn verify(&self, password: Password, phc: Option<String>) -> Result<Verified, PoolError> {
        self.ask(|reply| Job::Verify { password, phc, reply }).await
    }

    /// Whether a job would be taken now. Ask before other work is done for somebody who would only be refused: under a flood
    /// that work would cost the threads here their processors.
    pub fn check_room(&self) -> Result<(), PoolError> {
        self.shared.check_room(&mut self.shared.state())
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        self.shared.submit(job(reply))?;
        answer.await.map_err(|_| HashError::Failed("the hashing thread gave no answer".to_owned()))?
    }

    /// How busy the pool is right now.
    pub fn load(&self) -> Load {
        let state = self.shared.state();
        Load { waiting: state.queue.len(), inflight: state.inflight }
    }

    /// Hashes that were begun since the start, comparisons included. Relaxed: exact once the callers have their
    /// answers.
    pub fn begun(&self) -> u64 {
        self.shared.begun.load(Ordering::Relaxed)
    }

    /// The parameters of new hashes.
    pub fn params(&self) -> HashParams {
        self.shared.hasher.params()
    }

    /// Refuses what waits and what comes, finishes what runs, and joins the threads. Takes as long as one
    /// hash. Calling it again does nothing.
    pub async fn shutdown(&self) {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads());
        // Joining only waits for threads that are on their way out; if the runtime stops first, so be it.
        drop(tokio::task::spawn_blocking(move || join(threads)).await);
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a password hashing thread had panicked; please report it");
        }
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads());
        join(threads);
    }
}

impl std::fmt::Debug for HashPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashPool").field("load", &self.load()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
