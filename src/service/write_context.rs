//! What every control-plane write carries besides its command: who, under which request, on which condition.
//!
//! A [`WriteContext`] is the proof that a request passed the leader gate. It is made in one place,
//! `http::plane` (`tests/it/layers.rs` enforces it), so a service that wants one cannot be reached from
//! an ungated route (T42).

use std::net::IpAddr;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteContext {
    /// The administrator.
    pub principal: Principal,
    /// The request id under which everything about this write is logged.
    pub request_id: String,
    /// The client's address, for the audit.
    pub client_ip: IpAddr,
    /// The condition that the machine checks when the write is applied.
    pub precondition: Precondition,
}

impl WriteContext {
    /// Made by the gate only.
    pub fn after_gate(
        principal: Principal,
        request_id: String,
        client_ip: IpAddr,
        precondition: Precondition,
    ) -> Self {
        Self { principal, request_id, client_ip, precondition }
    }
}
