//! The bytes of a snapshot file.
//!
//! | bytes | meaning |
//! |---|---|
//! | 6 | `HJSNAP` |
//! | 2 | format version, big endian |
//! | 4 | length of the header, big endian |
//! | n | header: JSON of [`SnapshotHeader`] |
//! | m | payload, `payload_length` bytes |
//! | 32 | SHA-256 over everything before |

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::SnapshotError;

/// The format written by this release.
pub const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 6] = *b"HJSNAP";
const PREFIX_LEN: usize = 12;
const DIGEST_LEN: usize = 32;
/// The header holds the membership and a few ids; more than this is damage.
const MAX_HEADER: usize = 1024 * 1024;

/// Position of the last log entry inside a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotLogId {
    pub index: u64,
    pub term: u64,
    /// Raft id of the leader of that term.
    pub leader: u64,
}

/// What the caller says about a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotMetaFields {
    /// Names this snapshot during a transfer.
    pub snapshot_id: String,
    /// The last entry that is inside; absent for the state before any entry.
    pub last_log_id: Option<SnapshotLogId>,
    /// The membership as of that entry, in the caller's own encoding.
    pub membership: Value,
    /// The cluster this state belongs to.
    pub cluster_id: Option<String>,
    /// When it was made, by the caller's clock, in milliseconds since the Unix epoch.
    pub created_at_ms: i64,
}

/// The header as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotHeader {
    pub meta: SnapshotMetaFields,
    /// Bytes of the payload.
    pub payload_length: u64,
    /// SHA-256 of the payload, lower-case hex.
    pub payload_sha256: String,
}

/// The whole file for `payload`.
pub(super) fn encode(
    path: &Path,
    meta: SnapshotMetaFields,
    payload: &[u8],
) -> Result<(SnapshotHeader, Vec<u8>), SnapshotError> {
    let damaged = |reason: String| SnapshotError::Damaged { path: path.to_owned(), reason };
    let header = SnapshotHeader {
        meta,
        payload_length: u64::try_from(payload.len()).map_err(|error| damaged(error.to_string()))?,
        payload_sha256: hex(&Sha256::digest(payload)),
    };
    let json = serde_json::to_vec(&header).map_err(|error| damaged(error.to_string()))?;
    let too_long =
        || damaged(format!("its header would have {} bytes, the limit is {MAX_HEADER}", json.len()));
    if json.len() > MAX_HEADER {
        return Err(too_long());
    }
    let header_length = u32::try_from(json.len()).map_err(|_| too_long())?;
    let mut bytes = Vec::with_capacity(PREFIX_LEN + json.len() + payload.len() + DIGEST_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
    bytes.extend_from_slice(&header_length.to_be_bytes());
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(payload);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    Ok((header, bytes))
}

/// Checks every byte of a file and takes it apart. The payload reuses the buffer.
pub(crate) fn decode(path: &Path, mut bytes: Vec<u8>) -> Result<(SnapshotHeader, Vec<u8>), SnapshotError> {
    let damaged = |reason: &str| SnapshotError::Damaged { path: path.to_owned(), reason: reason.to_owned() };
    let Some((magic, rest)) = bytes.split_first_chunk::<6>() else { return Err(damaged("it is cut")) };
    if *magic != MAGIC {
        return Err(SnapshotError::NotASnapshot { path: path.to_owned() });
    }
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(|| damaged("it is cut"))?;
    let version = u16::from_be_bytes(*version);
    if version != FORMAT_VERSION {
        return Err(SnapshotError::UnknownVersion { path: path.to_owned(), version, known: FORMAT_VERSION });
    }
    let (header_length, _) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is cut"))?;
    let (content, digest) = bytes.split_last_chunk::<DIGEST_LEN>().ok_or_else(|| damaged("it is cut"))?;
    let computed: [u8; DIGEST_LEN] = Sha256::digest(content).into();
    if computed != *digest {
        return Err(damaged("its checksum does not match"));
    }
    let header_end = usize::try_from(u32::from_be_bytes(*header_length))
        .ok()
        .filter(|length| *length <= MAX_HEADER)
        .map(|length| PREFIX_LEN + length)
        .ok_or_else(|| damaged("its header length is out of range"))?;
    let header = content.get(PREFIX_LEN..header_end).ok_or_else(|| damaged("it is cut"))?;
    let header: SnapshotHeader = serde_json::from_slice(header)
        .map_err(|error| damaged(&format!("its header does not decode: {error}")))?;
    let end = content.len();
    if u64::try_from(end - header_end).ok() != Some(header.payload_length) {
        return Err(damaged("its payload length does not match"));
    }
    bytes.truncate(end);
    bytes.drain(..header_end);
    if hex(&Sha256::digest(&bytes)) != header.payload_sha256 {
        return Err(damaged("its payload checksum does not match"));
    }
    Ok((header, bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
