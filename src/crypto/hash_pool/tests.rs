use std::time::{Duration, Instant};

use super::*;
use crate::crypto::password::Hasher;
use crate::domain::rng::OsRng;

/// Randomness that can be held back, so that a hash stays in flight for exactly as long as a test wants; or
/// that panics, as a fault inside a job would.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum GateState {
    #[default]
    Open,
    Closed,
    Panics,
}

impl Gate {
    fn set(&self, state: GateState) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }
}

impl Rng for Gate {
    fn fill(&self, out: &mut [u8]) {
        let closed = |state: &mut GateState| *state == GateState::Closed;
        let limit = Duration::from_secs(20);
        let (guard, late) =
            self.changed.wait_timeout_while(self.state.lock().unwrap(), limit, closed).unwrap();
        let state = *guard;
        drop(guard);
        assert!(!late.timed_out(), "the test left the gate closed");
        assert!(state != GateState::Panics, "a panic inside a job, as the test asked for");
        OsRng.fill(out);
    }
}

fn params() -> HashParams {
    HashParams::new(64, 1, 1).unwrap()
}

fn start(workers: usize, queue: usize) -> (Arc<HashPool>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let rng: Arc<dyn Rng> = gate.clone();
    (Arc::new(HashPool::start(params(), PoolLimits { workers, queue }, rng).unwrap()), gate)
}

fn password(text: &str) -> Password {
    Password::parse(&text.into()).unwrap()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Spawns a hash and waits until the pool shows `load`.
async fn spawn_hash(
    pool: &Arc<HashPool>,
    load: (usize, usize),
) -> tokio::task::JoinHandle<Result<String, PoolError>> {
    let task = tokio::spawn({
        let pool = Arc::clone(pool);
        async move { pool.hash(password("secret")).await }
    });
    let load = Load { waiting: load.0, inflight: load.1 };
    until(&format!("{load:?}"), || pool.load() == load).await;
    task
}

#[tokio::test]
async fn hashes_and_verifies() {
    let (pool, _) = start(2, 4);
    let phc = pool.hash(password("secret")).await.unwrap();
    let verdict = pool.verify(password("secret"), Some(phc.clone())).await.unwrap();
    assert_eq!(verdict, Verified { ok: true, needs_rehash: false });
    assert!(!pool.verify(password("wrong"), Some(phc)).await.unwrap().ok);
    assert!(!pool.verify(password("secret"), None).await.unwrap().ok);
    let garbage = pool.verify(password("secret"), Some("x".into())).await.unwrap_err();
    assert_eq!(garbage, PoolError::Hash(HashError::Unreadable));
}

/// Spec §8: beyond the bound callers are told, at once.
#[tokio::test]
async fn one_more_than_the_queue_holds_is_busy_and_there_is_room_again_afterwards() {
    let (pool, gate) = start(1, 1);
    gate.set(GateState::Closed);
    let running = spawn_hash(&pool, (0, 1)).await;
    let waiting = spawn_hash(&pool, (1, 1)).await;
    assert_eq!(pool.hash(password("x")).await.unwrap_err(), PoolError::Busy);
    assert_eq!(pool.verify(password("x"), None).await.unwrap_err(), PoolError::Busy);
    assert_eq!(pool.check_room(), Err(PoolError::Busy));
    gate.set(GateState::Open);
    running.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(pool.check_room(), Ok(()));
    pool.hash(password("x")).await.unwrap();
}

#[tokio::test]
async fn no_more_run_at_once_than_there_are_workers() {
    let (pool, gate) = start(2, 8);
    gate.set(GateState::Closed);
    let mut tasks = Vec::new();
    for load in [(0, 1), (0, 2), (1, 2), (2, 2), (3, 2)] {
        tasks.push(spawn_hash(&pool, load).await);
    }
    gate.set(GateState::Open);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    until("the pool is idle", || pool.load() == Load { waiting: 0, inflight: 0 }).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_gives_its_place_in_the_queue_back() {
    let (pool, gate) = start(1, 1);
    gate.set(GateState::Closed);
    let running = spawn_hash(&pool, (0, 1)).await;
    let gone = spawn_hash(&pool, (1, 1)).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let mut next = Box::pin(pool.hash(password("next")));
    assert!(futures::poll!(next.as_mut()).is_pending(), "the abandoned place was not given back");
    // The place is taken again, this time by somebody who still waits.
    assert_eq!(pool.hash(password("x")).await.unwrap_err(), PoolError::Busy);
    gate.set(GateState::Open);
    running.await.unwrap().unwrap();
    next.await.unwrap();
}

#[tokio::test]
async fn shutdown_refuses_what_waits_finishes_what_runs_and_joins() {
    let (pool, gate) = start(1, 4);
    gate.set(GateState::Closed);
    let running = spawn_hash(&pool, (0, 1)).await;
    let waiting = spawn_hash(&pool, (1, 1)).await;
    let stopping = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.shutdown().await }
    });
    assert_eq!(waiting.await.unwrap().unwrap_err(), PoolError::ShuttingDown);
    assert!(!stopping.is_finished(), "shutdown must wait for the running hash");
    gate.set(GateState::Open);
    tokio::time::timeout(Duration::from_secs(20), stopping).await.unwrap().unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(pool.hash(password("x")).await.unwrap_err(), PoolError::ShuttingDown);
    assert_eq!(Arc::strong_count(&pool.shared), 1, "a thread still holds the pool");
    pool.shutdown().await;
}

#[tokio::test]
async fn dropping_the_pool_joins_its_threads() {
    let (pool, gate) = start(3, 4);
    let shared = Arc::downgrade(&pool.shared);
    drop(pool);
    assert!(shared.upgrade().is_none());
    assert_eq!(Arc::strong_count(&gate), 1);
}

#[tokio::test]
async fn a_panic_in_a_job_is_an_error_for_its_caller_and_costs_no_thread() {
    let (pool, gate) = start(1, 1);
    gate.set(GateState::Panics);
    assert!(matches!(pool.hash(password("x")).await, Err(PoolError::Hash(HashError::Failed(_)))));
    gate.set(GateState::Open);
    pool.hash(password("x")).await.unwrap();
    until("nothing in flight", || pool.load().inflight == 0).await;
}

/// S64: the bound on memory holds for imported hashes too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_hash_with_more_memory_than_ours_is_compared_at_a_time() {
    let (pool, _) = start(2, 4);
    let costly = Hasher::new(HashParams::new(256, 1, 1).unwrap(), &OsRng).unwrap();
    let phc = costly.hash(&OsRng, &password("secret")).unwrap();
    let verdict = pool.verify(password("secret"), Some(phc.clone())).await.unwrap();
    assert_eq!(verdict, Verified { ok: true, needs_rehash: true });

    let turn = pool.shared.heavy.lock().unwrap();
    let verify = |phc| {
        tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.verify(password("secret"), phc).await }
        })
    };
    let (heavy, ordinary) = (verify(Some(phc)), verify(None));
    let both = async { (heavy.await.unwrap(), ordinary.await.unwrap()) };
    let (heavy, ordinary) = futures::executor::block_on(both);
    drop(turn);
    assert_eq!(heavy.unwrap_err(), PoolError::Busy);
    assert!(ordinary.is_ok());
}

#[test]
fn a_pool_without_threads_is_refused() {
    for workers in [0, MAX_WORKERS + 1] {
        let refused = HashPool::start(params(), PoolLimits { workers, queue: 1 }, Arc::new(OsRng));
        assert!(matches!(refused, Err(StartError::Workers)));
    }
    let limits = PoolLimits::default();
    assert!(limits.workers >= 1 && limits.queue == 64);
}
