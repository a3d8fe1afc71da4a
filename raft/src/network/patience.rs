//! How long to wait for an answer before the question is sent again.
//!
//! TCP's own rule (RFC 6298), for the same reason: what is normal is learned from the answers, their mean and how much
//! they vary, and a wait that was in vain doubles the next one until an answer comes. So a peer that is slow for good is
//! asked once, one that stalls is asked a few times and then left alone, and one of whose messages some are lost is
//! asked again soon.

use std::time::Duration;

/// Where nothing was learned yet.
const FIRST: Duration = Duration::from_millis(200);

/// No wait is shorter: a sync of a disk that works takes less, and the kernel sends lost bytes again after 200 ms.
const SHORTEST: Duration = Duration::from_millis(50);

/// A link that takes longer for a large question than this would be made slower still by sending it twice.
const BYTES_PER_MILLI: usize = 4 * 1024;

/// Waits in vain after which the wait grows no more; the time limit of the call is shorter by then.
const MAX_DOUBLINGS: u32 = 8;

/// What the answers of one peer have taught.
#[derive(Debug, Default)]
pub(super) struct Patience {
    learned: Option<Learned>,
    /// Waits in vain since the last answer.
    in_vain: u32,
}

#[derive(Debug, Clone, Copy)]
struct Learned {
    mean: Duration,
    variation: Duration,
}

impl Patience {
    /// How long to wait for the answer to a question of so many bytes.
    pub(super) fn wait(&self, bytes: usize) -> Duration {
        let usual = self.learned.map_or(FIRST, |learned| learned.mean + learned.variation * 4);
        let travel = Duration::from_millis(u64::try_from(bytes / BYTES_PER_MILLI).unwrap_or(u64::MAX));
        (usual.max(SHORTEST) * (1 << self.in_vain)).saturating_add(travel)
    }

    /// An answer came after this time.
    pub(super) fn answered(&mut self, took: Duration) {
        self.in_vain = 0;
        self.learned = Some(match self.learned {
            None => Learned { mean: took, variation: took / 2 },
            Some(Learned { mean, variation }) => {
                Learned { mean: (mean * 7 + took) / 8, variation: (variation * 3 + mean.abs_diff(took)) / 4 }
            }
        });
    }

    /// The wait was in vain.
    pub(super) fn unanswered(&mut self) {
        self.in_vain = (self.in_vain + 1).min(MAX_DOUBLINGS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn taught(answers: impl IntoIterator<Item = u32>) -> Patience {
        let mut patience = Patience::default();
        for answer in answers {
            patience.answered(MS * answer);
        }
        patience
    }

    #[test]
    fn a_quick_peer_is_asked_again_soon_and_a_slow_one_late() {
        assert_eq!(Patience::default().wait(0), FIRST);
        assert_eq!(taught([2; 50]).wait(0), SHORTEST);
        let slow = taught([300; 50]).wait(0);
        assert!(slow >= MS * 300, "{slow:?}");
    }

    /// Heartbeats touch no disk, and each write does.
    #[test]
    fn a_slow_disk_behind_quick_heartbeats_is_given_its_time() {
        let patience = taught([2, 2, 90].repeat(30));
        assert!(patience.wait(0) > MS * 90, "{:?}", patience.wait(0));
    }

    #[test]
    fn each_wait_in_vain_doubles_the_next_until_an_answer_comes() {
        let mut patience = taught([2; 50]);
        for doubled in [2, 4, 8, 16] {
            patience.unanswered();
            assert_eq!(patience.wait(0), SHORTEST * doubled);
        }
        for _ in 0..1_000 {
            patience.unanswered();
        }
        assert!(patience.wait(0) < MS * 60_000, "{:?}", patience.wait(0));
        patience.answered(MS * 2);
        assert_eq!(patience.wait(0), SHORTEST);
    }

    #[test]
    fn a_large_question_has_time_to_travel() {
        let patience = taught([2; 50]);
        assert_eq!(patience.wait(512 * 1024), SHORTEST + MS * 128);
    }
}
