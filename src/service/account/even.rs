//! Answers whose time tells nothing (S60).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Answers are given at whole multiples of this after the request. Longer than the work takes on a node that has little to do,
/// so that nearly all answers come after one.
const SLOT: Duration = Duration::from_millis(100);

/// Gives what `work` gives, at the end of a slot: whether a fraction of a millisecond more was done is not to be seen. Nothing
/// is held meanwhile but the request.
pub(super) async fn in_even_time<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    let slots = begun.elapsed().as_nanos() / SLOT.as_nanos() + 1;
    sleep_until(begun + SLOT * u32::try_from(slots).unwrap_or(u32::MAX)).await;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S60
    #[tokio::test(start_paused = true)]
    async fn answers_come_at_the_end_of_a_slot() {
        for (work, answer) in [(0, 100), (1, 100), (99, 100), (100, 200), (101, 200), (250, 300)] {
            let begun = Instant::now();
            in_even_time(tokio::time::sleep(Duration::from_millis(work))).await;
            assert_eq!(begun.elapsed(), Duration::from_millis(answer), "after {work} ms of work");
        }
    }
}
