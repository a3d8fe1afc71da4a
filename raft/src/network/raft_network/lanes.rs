//! The connections to one peer, and what is known of its log.

use std::sync::{Mutex, PoisonError};

use openraft::Vote;
use tokio::sync::watch;

use super::super::client::PeerClient;
use super::super::twin::Twin;
use super::ahead::Progress;

/// Connections to one peer. Each kind has its own, so that a snapshot chunk never stands before a
/// heartbeat, nor a large append before a vote. Appends have two: openraft has one under way for each peer, so a lost
/// one holds up all that follow, and a follower that has the entries of a repeated one writes nothing.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) append: Twin,
    pub(super) vote: PeerClient,
    pub(super) snapshot: PeerClient,
    /// What this node, as leader, knows of the peer's log and asks of it now.
    pub(super) progress: watch::Sender<Progress>,
    /// Index of the last entry that the peer has acknowledged under this vote: within one leadership nothing of it is ever
    /// cut off, however often openraft makes its clients anew.
    word: Mutex<Option<(Vote<u64>, u64)>>,
}

impl Lanes {
    pub(super) fn new(append: Twin, vote: PeerClient, snapshot: PeerClient) -> Self {
        Self { append, vote, snapshot, progress: watch::Sender::default(), word: Mutex::default() }
    }

    /// Index of the last entry that the peer has acknowledged under this vote.
    pub(super) fn word(&self, vote: Vote<u64>) -> Option<u64> {
        self.with_word(|word| word.filter(|(under, _)| *under == vote).map(|(_, acknowledged)| acknowledged))
    }

    /// Notes what the peer has acknowledged. An answer that comes late takes nothing back.
    pub(super) fn note_word(&self, vote: Vote<u64>, acknowledged: Option<u64>) {
        let Some(acknowledged) = acknowledged else { return };
        self.with_word(|word| match word {
            Some((under, known)) if *under == vote => *known = acknowledged.max(*known),
            Some((under, _)) if *under > vote => {}
            Some(_) | None => *word = Some((vote, acknowledged)),
        });
    }

    fn with_word<T>(&self, use_it: impl FnOnce(&mut Option<(Vote<u64>, u64)>) -> T) -> T {
        use_it(&mut self.word.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
