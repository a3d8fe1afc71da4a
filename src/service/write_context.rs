//! What every control-plane write carries besides its command: who, under which request, on which condition.
//!
//! A [`WriteContext`] is the proof that a request passed the leader gate. It is made in one place,
//! `http::plane` (`tests/it/layers.rs` enforces it), so a service that wants one cannot be reached from
//! an ungated route (T42).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Principal;

/// The condition of a write on the document's present state (`If-Match`, `If-None-Match`; spec §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precondition {
    /// None was asked for.
    #[default]
    None,
    /// `If-Match: *`: always matches (spec §3.3).
    Any,
    /// `If-Match: "n"`: the document must be at this revision. Zero never matches: revisions start at one.
    Revision(u64),
    /// `If-None-Match: *`: the document must not exist.
    Absent,
}

/// The circumstances of a control-plane write, for its envelope and its audit record.
#[derive(Debug, Clone)]
pub struct WriteContext {
    /// The administrator.
    pub principal: Principal,
    /// The request id under which everything about this write is logged.
    pub request_id: String,
    /// The client's address, for the audit.
    pub client_ip: IpAddr,
    /// The condition that the machine checks when the write is applied.
    pub precondition: Precondition,
    /// What makes a repetition of the request known, where the caller sent an `Idempotency-Key`.
    pub idempotency: Option<IdempotencyKey>,
}

/// An `Idempotency-Key` with the request that it came with (spec §13.5).
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// The method of the request.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// SHA-256 over query and body, hex.
    pub body_hash: String,
    /// Set when the request turns out to be a repetition.
    replayed: Arc<AtomicBool>,
}

impl IdempotencyKey {
    /// The key of a request, not known to be a repetition.
    pub fn new(key: String, method: String, path: String, body_hash: String) -> Self {
        Self { key, method, path, body_hash, replayed: Arc::default() }
    }

    /// Says that the request was done before.
    pub fn note_replayed(&self) {
        self.replayed.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::note_replayed`] was called.
    pub fn was_replayed(&self) -> bool {
        self.replayed.load(Ordering::Relaxed)
    }
}

impl WriteContext {
    /// Made by the gate only.
    pub fn after_gate(
        principal: Principal,
        request_id: String,
        client_ip: IpAddr,
        precondition: Precondition,
    ) -> Self {
        Self { principal, request_id, client_ip, precondition, idempotency: None }
    }

    /// Whether the write turned out to be a repetition.
    pub fn was_replayed(&self) -> bool {
        self.idempotency.as_ref().is_some_and(IdempotencyKey::was_replayed)
    }

    /// The same, known by this key.
    #[must_use]
    pub fn idempotent(mut self, key: Option<IdempotencyKey>) -> Self {
        self.idempotency = key;
        self
    }
}
