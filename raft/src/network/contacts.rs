//! When each peer was last heard from, whichever side asked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When each peer was last heard from.
#[derive(Debug, Default)]
pub struct Contacts(Mutex<HashMap<String, Instant>>);

impl Contacts {
    /// Notes that the peer was heard from now.
    pub fn heard(&self, name: &str) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match times.get_mut(name) {
            Some(time) => *time = Instant::now(),
            None => {
                times.insert(name.to_owned(), Instant::now());
            }
        }
    }

    /// How long ago the peer was heard from.
    pub fn age(&self, name: &str) -> Option<Duration> {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.get(name).map(Instant::elapsed)
    }
}
