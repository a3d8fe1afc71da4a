//! Which master keys the secrets on this disk are sealed under.
//!
//! What a node seals with another key than the cluster's no other node opens, so one that was given another does not even
//! start. Only fingerprints are kept, which are of no use to anybody who does not know the keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IdentityError, MASTER_KEYS_FILE};
use crate::durable;
use crate::settings::KeyFingerprints;

const FORMAT_VERSION: u64 = 1;
const MAX_BYTES: u64 = 4096;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format_version: u64,
    fingerprints: KeyFingerprints,
}

/// Whether it is known which master keys this disk is for. Blocks on the disk.
///
/// # Errors
/// [`IdentityError::OtherMasterKey`] when they are not those of `own`; [`IdentityError::Invalid`],
/// [`IdentityError::UnknownVersion`], [`IdentityError::Io`].
pub(crate) fn check(raft_dir: &Path, own: &KeyFingerprints) -> Result<bool, IdentityError> {
    let path = raft_dir.join(MASTER_KEYS_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(IdentityError::io("open", &path)(error)),
    };
    let kept = read(&path, file)?;
    let settings = [
        ("SIGNING_MASTER_KEY", kept.signing == own.signing),
        ("SECRETBOX_MASTER_KEY", kept.secretbox == own.secretbox),
    ];
    match settings.into_iter().find(|(_, same)| !same) {
        Some((setting, _)) => Err(IdentityError::OtherMasterKey { path, setting }),
        None => Ok(true),
    }
}

/// Notes that this disk is for these master keys. Durable when it returns `Ok`. Blocks on the disk.
///
/// # Errors
/// [`IdentityError::Io`].
pub(crate) fn keep(raft_dir: &Path, own: &KeyFingerprints) -> Result<(), IdentityError> {
    let path = raft_dir.join(MASTER_KEYS_FILE);
    let kept = Kept { format_version: FORMAT_VERSION, fingerprints: own.clone() };
    let mut bytes = serde_json::to_vec_pretty(&kept)
        .map_err(|error| IdentityError::Refused { path: path.clone(), reason: error.to_string() })?;
    bytes.push(b'\n');
    durable::write_file_durably(&path, &bytes).map_err(IdentityError::io("write", &path))
}

/// Takes what is noted in `from` over to `to`, if anything is. Durable when it returns `Ok`. Blocks on the disk.
///
/// # Errors
/// As [`check`].
pub(crate) fn carry(from: &Path, to: &Path) -> Result<(), IdentityError> {
    let path = from.join(MASTER_KEYS_FILE);
    match File::open(&path) {
        Ok(file) => keep(to, &read(&path, file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(IdentityError::io("open", &path)(error)),
    }
}

fn read(path: &Path, file: File) -> Result<KeyFingerprints, IdentityError> {
    let invalid = |reason: String| IdentityError::Invalid { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(IdentityError::io("read", path))?;
    // The version first: a later format may have fields that this release would refuse as unknown.
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    match value.get("format_version").and_then(Value::as_u64) {
        Some(FORMAT_VERSION) => {}
        Some(version) => {
            let (path, known) = (path.to_owned(), FORMAT_VERSION);
            return Err(IdentityError::UnknownVersion { path, version, known });
        }
        None => return Err(invalid("format_version is missing".to_owned())),
    }
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    Ok(kept.fingerprints)
}
