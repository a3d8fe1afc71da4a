//! Which master keys the secrets on this disk are sealed under.
//!
//! What a node seals with another key than the cluster's no other node opens, so one that was given another does not even
//! start. Only fingerprints are kept, which are of no use to anybody who does not know the keys.

use std::path::Path;

use serde::{Deserialize, Serialize};

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
    let Some(kept) = noted(raft_dir)? else { return Ok(false) };
    let settings = [
        ("SIGNING_MASTER_KEY", kept.signing == own.signing),
        ("SECRETBOX_MASTER_KEY", kept.secretbox == own.secretbox),
    ];
    match settings.into_iter().find(|(_, same)| !same) {
        Some((setting, _)) => {
            Err(IdentityError::OtherMasterKey { path: raft_dir.join(MASTER_KEYS_FILE), setting })
        }
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
    noted(from)?.map_or(Ok(()), |fingerprints| keep(to, &fingerprints))
}

/// What is noted, if anything is.
fn noted(raft_dir: &Path) -> Result<Option<KeyFingerprints>, IdentityError> {
    let path = raft_dir.join(MASTER_KEYS_FILE);
    let kept: Option<Kept> = super::store::read_versioned(&path, MAX_BYTES, FORMAT_VERSION)?;
    Ok(kept.map(|kept| kept.fingerprints))
}
