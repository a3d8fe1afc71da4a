//! Fixed windows of time, in which something is counted and then forgotten.
//!
//! Windows of one length begin at the same moments everywhere (multiples of the length since 1970), so that nodes whose
//! clocks agree mean the same window without asking each other.

use std::time::Duration;

use hellojohn_control::Timestamp;

/// One window. Half-open: its end is the first moment of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    index: i64,
    end: Timestamp,
}

impl FixedWindow {
    /// The window of this length in which `now` is. A length below a millisecond counts as one.
    pub fn at(now: Timestamp, length: Duration) -> Self {
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
        let index = now.millis() / length;
        Self { index, end: Timestamp::from_millis(index.saturating_add(1).saturating_mul(length)) }
    }

    /// How many windows of this length were before it.
    pub fn index(self) -> i64 {
        self.index
    }

    /// The first moment after it.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// How long it lasts from `now` on; zero when it is over.
    pub fn remaining(self, now: Timestamp) -> Duration {
        self.end.since(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        let minute = Duration::from_secs(60);
        let at = |secs: i64| FixedWindow::at(Timestamp::from_secs(secs), minute);
        assert_eq!(at(0).end(), Timestamp::from_secs(60));
        assert_eq!((at(59), at(60).index()), (at(0), 1));
        assert_eq!(at(119).remaining(Timestamp::from_secs(119)), Duration::from_secs(1));
        assert_eq!(at(0).remaining(Timestamp::from_secs(60)), Duration::ZERO);
        assert_eq!(
            FixedWindow::at(Timestamp::from_millis(7), Duration::ZERO).end(),
            Timestamp::from_millis(8)
        );
    }

    proptest! {
        #[test]
        fn every_moment_is_in_exactly_one_window(
            now in 0..4_000_000_000_000_i64,
            length in 1..100_000_000_u64,
        ) {
            let (moment, span) = (Timestamp::from_millis(now), Duration::from_millis(length));
            let window = FixedWindow::at(moment, span);
            // It holds the moment, it is not longer than asked for, and it lasts until its end.
            prop_assert!(window.end() > moment);
            prop_assert!(window.remaining(moment) <= span);
            let last = Timestamp::from_millis(window.end().millis() - 1);
            prop_assert_eq!(FixedWindow::at(last, span), window);
            // The next one begins where it ends.
            let next = FixedWindow::at(window.end(), span);
            prop_assert_eq!(next.index(), window.index() + 1);
            prop_assert_eq!(next.remaining(window.end()), span);
        }
    }
}
