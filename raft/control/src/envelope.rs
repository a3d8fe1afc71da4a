//! What travels in a log entry: commands with who, when and under which condition.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Timestamp;
use crate::command::Command;
use crate::format::{FIRST_FORMAT, check_version};
use crate::sealed::Sealed;

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
    /// The secret that the answer will show once, sealed, so that a repetition can show it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sealed>,
}

/// The payload of a log entry: the commands that waited while the entry before it was on its way, so that
/// many writes share one sync of the disk. The version is written first and judged as soon as it is read, so
/// that a member which does not know it says so instead of complaining about the first field new to it.
///
/// An entry is written to the log of each member and sent to each follower. So it is cheap to clone, and it keeps
/// the JSON that it was read from or first written as.
#[derive(Debug, Clone)]
pub struct Batch {
    v: u16,
    items: Arc<[Envelope]>,
    json: Arc<OnceLock<Box<RawValue>>>,
}

impl Batch {
    /// A batch of the first format that has all of these commands.
    pub fn new(items: Vec<Envelope>) -> Self {
        let v = items.iter().map(|item| item.command.format()).max().unwrap_or(FIRST_FORMAT);
        Self::of_version(v, items.into())
    }

    pub(crate) fn of_version(v: u16, items: Arc<[Envelope]>) -> Self {
        Self { v, items, json: Arc::default() }
    }

    /// Its format; see [`crate::format`].
    pub fn version(&self) -> u16 {
        self.v
    }

    /// The commands, in the order in which they run.
    pub fn items(&self) -> &[Envelope] {
        &self.items
    }
}

/// The JSON is only another form of the rest.
impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        (self.v, &self.items) == (other.v, &other.items)
    }
}

impl Eq for Batch {}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.json.get().is_none() {
            let written = Written { v: self.v, items: &self.items };
            let json = serde_json::value::to_raw_value(&written).map_err(ser::Error::custom)?;
            // Somebody else may have been first, with the same JSON.
            drop(self.json.set(json));
        }
        self.json.get().serialize(serializer)
    }
}

/// How a batch is written.
#[derive(Serialize)]
struct Written<'a> {
    v: u16,
    items: &'a [Envelope],
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let Read { v, items } = serde_json::from_str(json.get()).map_err(de::Error::custom)?;
        Ok(Self { v, items, json: Arc::new(OnceLock::from(json)) })
    }
}

/// What a batch says.
struct Read {
    v: u16,
    items: Arc<[Envelope]>,
}

impl<'de> Deserialize<'de> for Read {
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
            type Value = Read;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a batch of commands with its version")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
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
                Ok(Read {
                    v: v.ok_or_else(|| de::Error::missing_field("v"))?,
                    items: items.ok_or_else(|| de::Error::missing_field("items"))?,
                })
            }
        }

        deserializer.deserialize_struct("Batch", FIELDS, BatchVisitor)
    }
}
