//! What travels in a log entry: commands with who, when and under which condition.

use std::fmt;
use std::net::IpAddr;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::command::Command;

/// Version of the batch and envelope format. A member that meets a higher one stops instead of skipping it.
pub const FORMAT_VERSION: u16 = 1;

/// A command on its way through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The leader's time; the only time that a machine knows.
    pub at: Timestamp,
    /// Who asked: a subject, or `system`.
    pub actor: String,
    /// The request that asked, for logs and audit.
    pub request_id: String,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The condition under which the command may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precondition: Option<Precondition>,
    /// The caller's idempotency key (spec §13.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// What is asked.
    pub command: Command,
}

/// A condition on the document that a command changes (RFC 9110 §13.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// `If-Match` with entity tags: the document has one of these revisions.
    Revision(Vec<u64>),
    /// `If-None-Match: *`: the document does not exist.
    Absent,
}

/// What identifies a repeated request (spec §13.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    /// 1 to 128 printable ASCII characters.
    pub key: String,
    /// HTTP method.
    pub method: String,
    /// Request path.
    pub path: String,
    /// SHA-256 of the body, hex.
    pub body_hash: String,
}

/// The payload of a log entry: the commands that waited while the entry before it was on its way, so that
/// many writes share one sync of the disk. The version is written first and judged as soon as it is read, so
/// that a member which does not know it says so instead of complaining about the first field new to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// See [`FORMAT_VERSION`].
    pub v: u16,
    /// The commands, in the order in which they run.
    pub items: Vec<Envelope>,
}

impl Batch {
    /// A batch of this format version.
    pub fn new(items: Vec<Envelope>) -> Self {
        Self { v: FORMAT_VERSION, items }
    }
}

/// What a member says about an entry that only a newer release understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "log entry has format version {found}, this release knows version {FORMAT_VERSION}; upgrade this node"
)]
pub struct UnknownVersion {
    /// Version of the entry.
    pub found: u16,
}

/// Whether this release knows entries of version `found`.
pub(crate) fn check_version(found: u16) -> Result<(), UnknownVersion> {
    if found == FORMAT_VERSION { Ok(()) } else { Err(UnknownVersion { found }) }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FIELDS: &[&str] = &["v", "items"];

        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Field {
            V,
            Items,
        }

        struct BatchVisitor;

        impl<'de> Visitor<'de> for BatchVisitor {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch of commands with its version")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Batch, A::Error> {
                let (mut v, mut items) = (None, None);
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::V if v.is_some() => return Err(de::Error::duplicate_field("v")),
                        Field::Items if items.is_some() => return Err(de::Error::duplicate_field("items")),
                        Field::V => {
                            let found: u16 = map.next_value()?;
                            check_version(found).map_err(de::Error::custom)?;
                            v = Some(found);
                        }
                        Field::Items => items = Some(map.next_value()?),
                    }
                }
                Ok(Batch {
                    v: v.ok_or_else(|| de::Error::missing_field("v"))?,
                    items: items.ok_or_else(|| de::Error::missing_field("items"))?,
                })
            }
        }

        deserializer.deserialize_struct("Batch", FIELDS, BatchVisitor)
    }
}
