//! Entries that followers get while the leader still writes them to its own disk.
//!
//! openraft replicates an entry once its own disk has it, so that a write would take two syncs, one after the other. A
//! leader may send an entry before (Ongaro's dissertation, section 10.2.1), as long as it counts itself only when it has
//! it; openraft does. So the log tells [`Ahead`] of what is appended, and [`Ahead`] sends it as an append of its own to
//! each follower whose log is known to reach up to there. openraft's append of the same entries comes when the leader's
//! disk has them, and finds the answer waiting. Where there is none, or an old one, it goes out as ever, and a follower
//! that has the entries writes nothing again. One early append is under way to each follower; what gathers meanwhile
//! goes with the next. See decision 0021 for why this is safe, above all why a leader must not lead on in the same term
//! after a restart ([`crate::log::LogStore::belongs_to`]).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use openraft::error::RaftError;
use openraft::raft::AppendEntriesResponse;
use openraft::{LogId, Vote};
use tokio::time::{Instant, timeout};

use super::super::contacts::Contacts;
use super::super::dial::Dialer;
use super::super::rpc::{RpcFailure, RpcKind, encode_json};
use super::lanes::Lanes;
use crate::log::{Appended, Listener};

/// Recent entries that are kept for followers which are a little behind.
const MAX_RECENT: usize = 1024;
/// Their bytes together.
const MAX_RECENT_BYTES: usize = 1024 * 1024;
/// Entries of one early append.
const MAX_ENTRIES: usize = 64;
/// Their bytes together; a larger entry takes openraft's way, where the sync is not what takes the time.
const MAX_BYTES: usize = 256 * 1024;
/// A peer that openraft has not asked for this long may be no follower any more: nothing more goes out early to it until it is
/// asked again, which each heartbeat does.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// An acknowledgement answers for a question of openraft's that was put later by at most this part of an append's time limit:
/// openraft takes the time at which it asks for the time at which the follower heard from its leader.
pub const FRESH_PART: u32 = 12;

/// What this node, as leader, knows of one follower's log.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Under which vote openraft replicates to it, and when it last did.
    asked: Option<(Vote<u64>, Instant)>,
    /// How long an append may take.
    within: Duration,
    /// The last entry that it is known to have, and when the question was put that it answered.
    matched: Option<(LogId<u64>, Instant)>,
    /// The early append that is under way: its last entry, and when it was put.
    early: Option<(LogId<u64>, Instant)>,
    /// openraft's own appends with entries that are under way.
    own: u32,
}

impl Progress {
    fn is_under(&self, vote: Vote<u64>) -> bool {
        self.asked.is_some_and(|(under, _)| under == vote)
    }

    /// Whether it has acknowledged `last`, to a question that was put no earlier than `since`; `None` while an early append
    /// may still bring that about.
    fn has(&self, vote: Vote<u64>, last: LogId<u64>, since: Instant) -> Option<bool> {
        if !self.is_under(vote) {
            return Some(false);
        }
        match (self.matched, self.early) {
            (Some((matched, asked)), _) if matched >= last => Some(asked >= since),
            (_, Some((upto, asked))) if upto < last || asked >= since => None,
            _ => Some(false),
        }
    }

    fn note(&mut self, vote: Vote<u64>, matched: Option<LogId<u64>>, asked: Instant) {
        if let Some(matched) = matched
            && self.is_under(vote)
            && self.matched.is_none_or(|(known, _)| known <= matched)
        {
            self.matched = Some((matched, asked));
        }
    }
}

/// An append of openraft's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) vote: Vote<u64>,
    /// The entry before those that it carries.
    pub(super) before: Option<LogId<u64>>,
    /// The last that it carries; none in a heartbeat.
    pub(super) last: Option<LogId<u64>>,
}

impl Asked {
    /// Up to where the follower's log is the leader's once it has agreed.
    pub(super) fn upto(&self) -> Option<LogId<u64>> {
        self.last.or(self.before)
    }
}

/// Entries as they are in the log, the newest of one leader.
#[derive(Debug, Default)]
struct Recent {
    entries: VecDeque<Appended>,
    bytes: usize,
}

impl Recent {
    fn clear(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, entry: Appended) {
        let follows = self.entries.back().is_some_and(|last| {
            last.log_id.leader_id == entry.log_id.leader_id && last.log_id.index + 1 == entry.log_id.index
        });
        if !follows {
            self.clear();
        }
        self.bytes += entry.json.len();
        self.entries.push_back(entry);
        while self.entries.len() > MAX_RECENT || self.bytes > MAX_RECENT_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.json.len();
        }
    }

    /// The first entries behind `matched`, if they are here and of the leader that `vote` made.
    fn after(&self, vote: Vote<u64>, matched: LogId<u64>) -> impl Iterator<Item = &Appended> {
        let first = self.entries.front().filter(|first| first.log_id.leader_id == vote.leader_id);
        let skipped = first.and_then(|first| (matched.index + 1).checked_sub(first.log_id.index));
        let skipped = skipped.and_then(|skipped| usize::try_from(skipped).ok()).unwrap_or(usize::MAX);
        let mut bytes = 0;
        self.entries.iter().skip(skipped).take(MAX_ENTRIES).take_while(move |entry| {
            bytes += entry.json.len();
            bytes <= MAX_BYTES
        })
    }
}

/// An append that goes out before openraft asks for it.
struct Early {
    vote: Vote<u64>,
    last: LogId<u64>,
    within: Duration,
    asked: Instant,
    payload: Bytes,
}

impl Early {
    fn mark(&self) -> (LogId<u64>, Instant) {
        (self.last, self.asked)
    }
}

/// See the module.
pub struct Ahead {
    dialer: Arc<Dialer>,
    contacts: Arc<Contacts>,
    recent: Mutex<Recent>,
    followers: Mutex<Vec<Arc<Lanes>>>,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}

impl Listener for Ahead {
    fn appended(self: Arc<Self>, entries: Vec<Appended>) {
        let Some(leader) = entries.first().map(|entry| entry.log_id.leader_id) else { return };
        let followers = lock(&self.followers);
        let led = |lanes: &Arc<Lanes>| {
            let asked = lanes.progress.borrow().asked;
            asked.is_some_and(|(vote, at)| vote.leader_id == leader && at.elapsed() <= FORGOTTEN)
        };
        let mut led = followers.iter().filter(|lanes| led(lanes)).peekable();
        if led.peek().is_none() {
            lock(&self.recent).clear();
            return;
        }
        {
            let mut recent = lock(&self.recent);
            entries.into_iter().for_each(|entry| recent.push(entry));
        }
        led.for_each(|lanes| self.go_on(lanes));
    }
}

impl Ahead {
    pub(super) fn new(dialer: Arc<Dialer>, contacts: Arc<Contacts>) -> Self {
        Self { dialer, contacts, recent: Mutex::default(), followers: Mutex::default() }
    }

    /// From now on this may be a follower.
    pub(super) fn add(&self, lanes: &Arc<Lanes>) {
        lock(&self.followers).push(Arc::clone(lanes));
    }

    /// Whether the peer has just acknowledged all that openraft asks for, under the same vote. Waits for an early append
    /// that is under way, at most `within`. See [`FRESH_PART`] for what counts.
    pub(super) async fn is_acknowledged(&self, lanes: &Lanes, asked: Asked, within: Duration) -> bool {
        let Asked { vote, last, .. } = asked;
        let now = Instant::now();
        let since = now.checked_sub(within / FRESH_PART).unwrap_or(now);
        lanes.progress.send_if_modified(|progress| {
            let anew = !progress.is_under(vote);
            if anew {
                progress.matched = None;
            }
            progress.asked = Some((vote, now));
            progress.within = within;
            anew
        });
        let Some(last) = last else { return false };
        let known = lanes.progress.borrow().has(vote, last, since);
        if let Some(known) = known {
            return known;
        }
        let (mut changes, mut has) = (lanes.progress.subscribe(), false);
        let settled = changes.wait_for(|progress| {
            let known = progress.has(vote, last, since);
            has = known == Some(true);
            known.is_some()
        });
        // openraft's own time is over then, too.
        timeout(within, settled).await.is_ok_and(|settled| settled.is_ok()) && has
    }

    /// Notes that openraft's own append goes out.
    pub(super) fn asks<'a>(self: &'a Arc<Self>, lanes: &'a Arc<Lanes>, asked: Asked) -> Question<'a> {
        lanes.progress.send_if_modified(|progress| {
            progress.own += u32::from(asked.last.is_some());
            false
        });
        Question { ahead: self, lanes, asked, at: Instant::now(), agreed: false }
    }

    /// Sends what the follower lacks, unless something is under way to it.
    fn go_on(self: &Arc<Self>, lanes: &Arc<Lanes>) {
        let mut early = None;
        lanes.progress.send_if_modified(|progress| {
            if progress.early.is_none() && progress.own == 0 {
                early = self.next(progress);
                progress.early = early.as_ref().map(Early::mark);
            }
            false
        });
        if let Some(early) = early {
            let (ahead, lanes) = (Arc::clone(self), Arc::clone(lanes));
            self.dialer.spawn(async move { ahead.send(lanes, early).await });
        }
    }

    fn next(&self, progress: &Progress) -> Option<Early> {
        let (vote, at) = progress.asked?;
        let (matched, _) = progress.matched?;
        if at.elapsed() > FORGOTTEN {
            return None;
        }
        let recent = lock(&self.recent);
        let mut entries = recent.after(vote, matched).peekable();
        entries.peek()?;
        let (payload, last) = encode(vote, matched, entries).ok()?;
        Some(Early { vote, last, within: progress.within, asked: Instant::now(), payload })
    }

    async fn send(&self, lanes: Arc<Lanes>, early: Early) {
        let mut turn = Turn { lanes: &lanes, over: false };
        let mut next = Some(early);
        while let Some(Early { vote, last, within, asked, payload }) = next.take() {
            let answer = lanes.append.call(RpcKind::Append, payload, within).await;
            let agreed = answer.is_ok_and(|answer| {
                self.contacts.heard(lanes.append.name());
                serde_json::from_slice::<Result<AppendEntriesResponse<u64>, RaftError<u64>>>(&answer)
                    .is_ok_and(|answer| answer == Ok(AppendEntriesResponse::Success))
            });
            if agreed {
                lanes.note_word(vote, Some(last.index));
            }
            lanes.progress.send_modify(|progress| {
                if agreed {
                    progress.note(vote, Some(last), asked);
                    if progress.own == 0 {
                        next = self.next(progress);
                    }
                } else {
                    // openraft finds out what the matter is, and where to begin again.
                    progress.matched = None;
                }
                progress.early = next.as_ref().map(Early::mark);
                turn.over = next.is_none();
            });
        }
    }
}

/// Ends an early append that is cut off.
struct Turn<'a> {
    lanes: &'a Lanes,
    over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.lanes.progress.send_modify(|progress| progress.early = None);
        }
    }
}

/// An append of openraft's that is under way.
pub(super) struct Question<'a> {
    ahead: &'a Arc<Ahead>,
    lanes: &'a Arc<Lanes>,
    asked: Asked,
    at: Instant,
    agreed: bool,
}

impl Question<'_> {
    /// The follower has agreed.
    pub(super) fn agreed(mut self) {
        self.agreed = true;
        let (ahead, lanes) = (self.ahead, self.lanes);
        drop(self);
        ahead.go_on(lanes);
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let Asked { vote, last, .. } = self.asked;
        self.lanes.progress.send_if_modified(|progress| {
            progress.own -= u32::from(last.is_some());
            if self.agreed {
                progress.note(vote, self.asked.upto(), self.at);
            } else if progress.is_under(vote) {
                progress.matched = None;
            }
            false
        });
    }
}

/// openraft's `AppendEntriesRequest` out of entries that are JSON already, and the last of them. Says nothing of what is
/// committed.
fn encode<'a>(
    vote: Vote<u64>,
    before: LogId<u64>,
    entries: impl Iterator<Item = &'a Appended>,
) -> Result<(Bytes, LogId<u64>), RpcFailure> {
    let mut payload = BytesMut::new();
    payload.extend_from_slice(b"{\"vote\":");
    payload.extend_from_slice(&encode_json(&vote)?);
    payload.extend_from_slice(b",\"prev_log_id\":");
    payload.extend_from_slice(&encode_json(&before)?);
    payload.extend_from_slice(b",\"entries\":[");
    let mut last = before;
    for (n, entry) in entries.enumerate() {
        if n > 0 {
            payload.extend_from_slice(b",");
        }
        payload.extend_from_slice(&entry.json);
        last = entry.log_id;
    }
    payload.extend_from_slice(b"],\"leader_commit\":null}");
    Ok((payload.freeze(), last))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
