//! The bytes of one record: format version, checksum, JSON.
//!
//! | bytes | meaning |
//! |---|---|
//! | 1 | format version, [`VERSION`] |
//! | 4 | first bytes of SHA-256 over domain, record name and body |
//! | rest | JSON body |
//!
//! The name (index of the entry, or key in the meta tree) is part of the checksum, so that a record that
//! turns up under another name is refused as well as a flipped bit.

use sha2::{Digest, Sha256};

use super::error::LogError;

/// The format written by this release.
pub(super) const VERSION: u8 = 1;

const CHECKSUM_LEN: usize = 4;
const HEADER_LEN: usize = 1 + CHECKSUM_LEN;
const DOMAIN: &[u8] = b"hellojohn-raft-log-1";

/// What a record is called: bound into its checksum, and named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The log entry at this index.
    Entry(u64),
    /// A record of the meta tree.
    Meta(&'static str),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Meta(key) => write!(f, "record {key:?}"),
        }
    }
}

/// Wraps `body` for the disk.
pub(super) fn seal(name: Name, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&checksum(name, body));
    bytes.extend_from_slice(body);
    bytes
}

/// Checks `bytes` and gives back the body.
pub(super) fn unseal(name: Name, bytes: &[u8]) -> Result<&[u8], LogError> {
    let damaged = || LogError::Damaged { record: name.to_string() };
    let (version, rest) = bytes.split_first().ok_or_else(damaged)?;
    if *version != VERSION {
        return Err(LogError::UnknownVersion { record: name.to_string(), version: *version, known: VERSION });
    }
    let (stored, body) = rest.split_first_chunk::<CHECKSUM_LEN>().ok_or_else(damaged)?;
    if *stored == checksum(name, body) { Ok(body) } else { Err(damaged()) }
}

fn checksum(name: Name, body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    match name {
        Name::Entry(index) => {
            hash.update(b"e");
            hash.update(index.to_be_bytes());
        }
        Name::Meta(key) => {
            hash.update(b"m");
            hash.update(key.as_bytes());
            hash.update([0]);
        }
    }
    hash.update(body);
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_format_1_are_pinned() {
        let hex: String = seal(Name::Entry(7), br#"{"a":1}"#).iter().map(|b| format!("{b:02x}")).collect();
        insta::assert_snapshot!(hex, @"0197d292fc7b2261223a317d");
    }

    #[test]
    fn every_single_flipped_bit_is_refused() {
        let sealed = seal(Name::Entry(3), b"some body");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = unseal(Name::Entry(3), &flipped).unwrap_err();
            assert!(error.to_string().contains("entry 3"), "{error}");
        }
    }

    #[test]
    fn a_record_under_another_name_is_refused() {
        let sealed = seal(Name::Entry(3), b"body");
        assert!(matches!(unseal(Name::Entry(4), &sealed), Err(LogError::Damaged { .. })));
        assert!(matches!(unseal(Name::Meta("vote"), &sealed), Err(LogError::Damaged { .. })));
        assert_eq!(unseal(Name::Entry(3), &sealed).unwrap(), b"body");
    }

    #[test]
    fn an_unknown_version_says_which_and_what_is_known() {
        let mut sealed = seal(Name::Entry(3), b"body");
        sealed[0] = 9;
        let error = unseal(Name::Entry(3), &sealed).unwrap_err().to_string();
        assert!(error.contains("format version 9") && error.contains("knows 1"), "{error}");
    }

    #[test]
    fn cut_records_are_refused() {
        let sealed = seal(Name::Meta("vote"), b"body");
        for len in 0..sealed.len() {
            assert!(unseal(Name::Meta("vote"), &sealed[..len]).is_err(), "{len} bytes");
        }
    }
}
