//! What both kinds of counters do (spec §10).

use std::sync::Arc;

use futures::future::join_all;
use hellojohn::store::limiter::{Counters, MemoryCounters, Take};
use hellojohn_control::Timestamp;

use super::{WINDOW, counters, now, one, two};
use crate::harness::redis::TestRedis;

async fn admitted(counters: &impl Counters, take: &Take, at: Timestamp) -> bool {
    counters.take(take, at).await.unwrap().admitted
}

/// A counter admits its limit, tells what is left, and begins anew with the next window.
async fn a_counter_admits_its_limit_in_each_window(counters: &impl Counters) {
    for at in [now(), now().plus(WINDOW)] {
        let take = one(1, 3, at);
        for left in [2, 1, 0] {
            let verdict = counters.take(&take, at).await.unwrap();
            assert!(verdict.admitted);
            let standing = verdict.standing;
            assert_eq!(
                (standing.limit, standing.remaining, standing.window.end()),
                (3, left, at.plus(WINDOW))
            );
        }
        let last = Timestamp::from_millis(at.plus(WINDOW).millis() - 1);
        for moment in [at, last] {
            let verdict = counters.take(&take, moment).await.unwrap();
            assert_eq!((verdict.admitted, verdict.standing.remaining), (false, 0));
        }
        assert!(admitted(counters, &one(2, 3, at), at).await, "others are not concerned");
    }
}

/// Who is refused by one counter uses up nothing of the other (S61: nobody locks others out from a blocked address).
async fn of_two_counters_both_are_taken_or_none(counters: &impl Counters) {
    let at = now();
    assert!(admitted(counters, &two((10, 2), (11, 9), at), at).await);
    assert!(admitted(counters, &two((10, 2), (11, 9), at), at).await);
    for _ in 0..5 {
        let verdict = counters.take(&two((10, 2), (11, 9), at), at).await.unwrap();
        assert_eq!((verdict.admitted, verdict.standing.limit), (false, 2), "the full one is told");
    }
    let verdict = counters.take(&two((12, 9), (11, 9), at), at).await.unwrap();
    assert_eq!((verdict.admitted, verdict.standing.remaining), (true, 6), "two and one of nine");
    // And the other way round.
    assert!(admitted(counters, &two((13, 9), (14, 1), at), at).await);
    for _ in 0..5 {
        let verdict = counters.take(&two((13, 9), (14, 1), at), at).await.unwrap();
        assert_eq!((verdict.admitted, verdict.standing.limit), (false, 1));
    }
    assert_eq!(counters.take(&one(13, 9, at), at).await.unwrap().standing.remaining, 7);
}

async fn what_is_given_back_can_be_taken_again(counters: &impl Counters) {
    let at = now();
    let take = two((20, 5), (21, 1), at);
    for _ in 0..20 {
        assert!(admitted(counters, &take, at).await);
        counters.give_back(&take).await.unwrap();
    }
    // More than was taken cannot be given back.
    for _ in 0..5 {
        counters.give_back(&take).await.unwrap();
    }
    assert!(admitted(counters, &take, at).await);
    assert!(!admitted(counters, &take, at).await);
    // What was taken in a window that is over is over.
    let later = at.plus(WINDOW);
    let next = two((20, 5), (21, 1), later);
    assert!(admitted(counters, &next, later).await);
    counters.give_back(&take).await.unwrap();
    assert!(!admitted(counters, &next, later).await);
}

/// S61: the counter is atomic.
async fn parallel_takes_pass_a_limit_never(counters: Arc<impl Counters + 'static>) {
    let at = now();
    let tasks = (0..200).map(|_| {
        let counters = Arc::clone(&counters);
        tokio::spawn(async move { admitted(counters.as_ref(), &two((30, 1_000), (31, 20), at), at).await })
    });
    let passed = join_all(tasks).await.into_iter().filter(|task| *task.as_ref().unwrap()).count();
    assert_eq!(passed, 20);
    let left = counters.take(&one(30, 1_000, at), at).await.unwrap().standing.remaining;
    assert_eq!(left, 1_000 - 20 - 1, "who was refused took nothing");
}

async fn all(counters: impl Counters + 'static) {
    let counters = Arc::new(counters);
    a_counter_admits_its_limit_in_each_window(counters.as_ref()).await;
    of_two_counters_both_are_taken_or_none(counters.as_ref()).await;
    what_is_given_back_can_be_taken_again(counters.as_ref()).await;
    parallel_takes_pass_a_limit_never(counters).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_in_memory_keep_limits() {
    all(MemoryCounters::new(1024)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_in_redis_keep_limits() {
    let redis = TestRedis::start();
    let counters = counters(&redis);
    counters.tend().await;
    assert!(counters.is_up());
    all(counters).await;
}

/// Two nodes count together.
#[tokio::test]
async fn counters_in_one_redis_are_the_same_ones() {
    let redis = TestRedis::start();
    let nodes = [counters(&redis), counters(&redis)];
    for node in &nodes {
        node.tend().await;
    }
    let take = one(1, 4, now());
    for _ in 0..2 {
        for node in &nodes {
            assert!(admitted(node, &take, now()).await);
        }
    }
    for node in &nodes {
        assert!(!admitted(node, &take, now()).await);
    }
    nodes[0].give_back(&take).await.unwrap();
    assert!(admitted(&nodes[1], &take, now()).await);
}
