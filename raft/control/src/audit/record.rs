//! One record, and how its hash follows from the one before.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{Slug, Timestamp};

/// What every hash begins with, so that it is that of nothing else. The number is that of the encoding.
const LABEL: &[u8] = b"hellojohn-audit-1";
/// Stands for the length of a field that is not there; no field can be as long.
const ABSENT: u32 = u32::MAX;
/// Bytes of an actor or a target that are kept.
const NAME: usize = 512;
/// Bytes of a request id that are kept.
const REQUEST_ID: usize = 256;

/// SHA-256 over a record and all before it; hex in documents.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// From its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = || de::Error::custom("a hash of a record has 64 lower-case hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refused());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or_else(refused)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
        }
        Ok(Self(bytes))
    }
}

/// A place in the chain: its last record so far, or the nothing before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of that record; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: ChainHash,
}

/// A write to the control plane, done or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Counts up from 1 without a gap.
    pub seq: u64,
    /// The leader's time.
    pub at: Timestamp,
    /// Whose documents; none for what is everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Slug>,
    /// `tenant/subject` of the token, or `system`.
    pub actor: String,
    /// The request that asked.
    pub request_id: String,
    /// What was asked; see [`crate::Command::action`].
    pub action: String,
    /// The client, key or node; none where it is the tenant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Why it was refused; see [`crate::Reject::code`]. None: it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// What makes a later change of this record, or of one before it, visible.
    pub hash: ChainHash,
}

/// What a record is made of.
#[derive(Debug)]
pub(crate) struct Written<'a> {
    pub(crate) at: Timestamp,
    pub(crate) tenant: Option<&'a Slug>,
    pub(crate) actor: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) action: &'static str,
    pub(crate) target: Option<String>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) ip: Option<IpAddr>,
}

impl Record {
    /// The record that follows `head`.
    pub(crate) fn after(head: Head, written: Written<'_>) -> Self {
        let mut record = Self {
            seq: head.seq.saturating_add(1),
            at: written.at,
            tenant: written.tenant.cloned(),
            actor: plain(written.actor, NAME),
            request_id: plain(written.request_id, REQUEST_ID),
            action: written.action.to_owned(),
            target: written.target.map(|target| plain(&target, NAME)),
            reason: written.reason.map(str::to_owned),
            ip: written.ip,
            hash: ChainHash::default(),
        };
        record.hash = record.hash_after(&head.hash);
        record
    }

    /// The hash of this record when `before` is that of the record before it: SHA-256 over `before` and each field with its
    /// length in front, as four bytes, the highest first. A field that is not there is the length 2^32 - 1 alone. The fields
    /// are the text `hellojohn-audit-1`, the number (eight bytes, the highest first), the time (RFC 3339, UTC, three
    /// decimals), tenant, actor, request id, action, target, reason and address.
    pub fn hash_after(&self, before: &ChainHash) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(before.as_bytes());
        let (at, ip) = (self.at.to_string(), self.ip.map(|ip| ip.to_string()));
        let fields = [
            Some(LABEL),
            Some(&self.seq.to_be_bytes()),
            Some(at.as_bytes()),
            self.tenant.as_ref().map(|slug| slug.as_str().as_bytes()),
            Some(self.actor.as_bytes()),
            Some(self.request_id.as_bytes()),
            Some(self.action.as_bytes()),
            self.target.as_deref().map(str::as_bytes),
            self.reason.as_deref().map(str::as_bytes),
            ip.as_deref().map(str::as_bytes),
        ];
        for field in fields {
            let length = field.map_or(ABSENT, |bytes| u32::try_from(bytes.len()).unwrap_or(ABSENT - 1));
            hash.update(length.to_be_bytes());
            hash.update(field.unwrap_or_default());
        }
        ChainHash(hash.finalize().into())
    }

    /// Where the chain is with this record.
    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

/// What of a text is kept: no control characters, which no database takes, and not more than `limit` bytes.
fn plain(text: &str, limit: usize) -> String {
    let mut kept: String = text.chars().filter(|c| !c.is_control()).collect();
    kept.truncate(kept.floor_char_boundary(limit));
    kept
}

/// A run of records is no part of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A record is not there.
    #[error("record {expected} is missing; {found} is there in its place")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that comes.
        found: u64,
    },
    /// A record, or one before it, was changed.
    #[error("the hash of record {seq} does not follow from it and the record before")]
    Changed {
        /// Its number.
        seq: u64,
    },
}

/// Whether the records, in this order, are what follows `from`; gives the end of the run. `Head::default()` is the beginning of
/// every chain; whoever has not all of it begins with the head of a record that they trust.
///
/// # Errors
/// [`Broken`] names the first record that is wrong.
pub fn verify<'a>(from: Head, records: impl IntoIterator<Item = &'a Record>) -> Result<Head, Broken> {
    records.into_iter().try_fold(from, |head, record| {
        let expected = head.seq.saturating_add(1);
        if record.seq != expected {
            return Err(Broken::Gap { expected, found: record.seq });
        }
        if record.hash != record.hash_after(&head.hash) {
            return Err(Broken::Changed { seq: record.seq });
        }
        Ok(record.head())
    })
}
