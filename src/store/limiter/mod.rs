//! Counters in fixed windows, in this process or in Redis.
//!
//! Owns how something is counted, not what, for whom and how often: a caller brings names, limits and windows. A counter
//! that is full does not count further, and of two that are taken together neither is when one is full: whoever is
//! refused by address does not use up what an account has left. Must never be handed a name that tells something.

pub mod memory;
pub mod redis;

use std::future::Future;

use hellojohn_control::Timestamp;

use crate::domain::fixed_window::FixedWindow;

pub use self::memory::MemoryCounters;
pub use self::redis::{RedisCounters, UnusableRedis};

/// One counter in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// A name that tells nothing, different for everything that is counted.
    pub key: [u8; 16],
    /// How often it may be taken in the window.
    pub limit: u32,
    /// The window.
    pub window: FixedWindow,
}

/// What one request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// The counter of the address that it comes from.
    pub address: Counter,
    /// The counter of the account that it is about.
    pub account: Option<Counter>,
}

impl Take {
    /// The counters.
    fn each(&self) -> impl Iterator<Item = &Counter> {
        std::iter::once(&self.address).chain(&self.account)
    }
}

/// How a counter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How often it may be taken in the window.
    pub limit: u32,
    /// How often it may still be taken.
    pub remaining: u32,
    /// The window.
    pub window: FixedWindow,
}

/// Whether everything was taken, and how the counter stands that matters most: of full ones the one that is full for
/// longest, else the one of which the least is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Everything was taken; else nothing was.
    pub admitted: bool,
    /// The counter that matters most.
    pub standing: Standing,
}

impl Verdict {
    /// From how often the counters had been taken before.
    fn of(take: &Take, address_before: u32, account_before: Option<u32>) -> Self {
        let account = take.account.as_ref().zip(account_before);
        let full = |(counter, before): &(&Counter, u32)| *before >= counter.limit;
        let address = (&take.address, address_before);
        let admitted = !full(&address) && !account.is_some_and(|account| full(&account));
        let stands = |(counter, before): (&Counter, u32)| Standing {
            limit: counter.limit,
            remaining: counter.limit.saturating_sub(before.saturating_add(u32::from(admitted))),
            window: counter.window,
        };
        let (first, second) = (stands(address), account.map(stands));
        let standing = match second {
            Some(second) if admitted && second.remaining < first.remaining => second,
            Some(second)
                if !admitted
                    && second.remaining == 0
                    && (first.remaining > 0 || second.window.end() > first.window.end()) =>
            {
                second
            }
            Some(_) | None => first,
        };
        Self { admitted, standing }
    }
}

/// The counters cannot be reached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the counters cannot be reached")]
pub struct Unavailable;

/// Where it is counted.
pub trait Counters: Send + Sync {
    /// Takes all counters once, or none if one of them is full.
    fn take(&self, take: &Take, now: Timestamp) -> impl Future<Output = Result<Verdict, Unavailable>> + Send;

    /// Gives back what was taken. Does nothing once the window is over.
    fn give_back(&self, take: &Take) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
