//! Reading, creating and changing the marker on disk.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::marker::{FORMAT_VERSION, Identity, Promise, Standing};
use super::{DirLock, IdentityError, MARKER_FILE};
use crate::durable;

const MAX_BYTES: u64 = 64 * 1024;
/// Directories that exist only where a node has lived.
const RAFT_DATA: [&str; 2] = ["log", "snapshots"];

/// The marker of one Raft directory, held by this process. All methods block on the disk.
#[derive(Debug)]
pub struct IdentityStore {
    path: PathBuf,
    current: Identity,
    _lock: DirLock,
}

impl IdentityStore {
    /// Takes the directory for this process and reads its marker, or makes a pristine one in a directory
    /// that was never used.
    ///
    /// # Errors
    /// [`IdentityError`]: in use, another node's disk, invalid, of an unknown version, or missing beside
    /// Raft data.
    pub fn load_or_create(raft_dir: &Path, node_name: &str) -> Result<Self, IdentityError> {
        durable::create_dir_all_durably(raft_dir).map_err(IdentityError::io("create", raft_dir))?;
        // The log holds the sealed secrets of every tenant.
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(raft_dir, private).map_err(IdentityError::io("protect", raft_dir))?;
        let lock = DirLock::take(raft_dir)?;
        durable::remove_leftover_temps(raft_dir).map_err(IdentityError::io("sweep", raft_dir))?;
        let path = raft_dir.join(MARKER_FILE);
        let current = match read(&path)? {
            Some(identity) => identity,
            None => {
                refuse_beside_data(raft_dir, &path)?;
                let fresh = Identity::pristine(node_name);
                write(&path, &fresh)?;
                fresh
            }
        };
        if current.node_name != node_name {
            return Err(IdentityError::WrongNode {
                path,
                found: current.node_name,
                configured: node_name.to_owned(),
            });
        }
        Ok(Self { path, current, _lock: lock })
    }

    /// The marker as it is on disk.
    pub fn identity(&self) -> &Identity {
        &self.current
    }

    /// Refuses this disk if it is a member of, or promised to, another cluster than `expected`.
    ///
    /// # Errors
    /// [`IdentityError::WrongCluster`], naming both; [`IdentityError::Promised`].
    pub fn check_cluster(&self, expected: &str) -> Result<(), IdentityError> {
        if let Some(found) = &self.current.cluster_id
            && found != expected
        {
            return Err(IdentityError::WrongCluster {
                path: self.path.clone(),
                found: found.clone(),
                expected: expected.to_owned(),
            });
        }
        match &self.current.promise {
            Some(promise) if promise.cluster_id != expected => {
                Err(self.promised_elsewhere(promise, expected))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Promises to join exactly this cluster. Durable when it returns `Ok`; answer the peer only then.
    /// The same promise again is fine.
    ///
    /// # Errors
    /// [`IdentityError::Promised`] when promised otherwise, [`IdentityError::Member`],
    /// [`IdentityError::Refused`] for a promise that makes no sense, [`IdentityError::Io`].
    pub fn promise(&mut self, promise: Promise) -> Result<(), IdentityError> {
        match (self.current.state, &self.current.promise) {
            (Standing::Joining | Standing::Member, _) => return Err(self.member("promise anything")),
            (Standing::Promised, Some(made)) if *made == promise => return Ok(()),
            (Standing::Promised, Some(made)) => {
                return Err(self.promised_elsewhere(made, &promise.cluster_id));
            }
            (Standing::Promised | Standing::Pristine, _) => {}
        }
        self.replace(self.current.promised(promise))
    }

    /// Notes the Raft id that the leader gave this disk, before it is used (spec §13.4). Durable when it returns
    /// `Ok`. The same again is fine.
    ///
    /// # Errors
    /// [`IdentityError::Promised`], [`IdentityError::WrongCluster`], [`IdentityError::Member`] for another id,
    /// [`IdentityError::Io`].
    pub fn join(&mut self, cluster_id: &str, raft_id: u64, incarnation: u64) -> Result<(), IdentityError> {
        self.check_cluster(cluster_id)?;
        let next = self.current.joining(cluster_id, raft_id, incarnation);
        match self.current.state {
            Standing::Pristine => self.replace(next),
            Standing::Joining if self.current == next => Ok(()),
            Standing::Promised | Standing::Joining | Standing::Member => {
                Err(self.member("take another raft id"))
            }
        }
    }

    /// Forgets the Raft id that the leader gave this disk, which was lost with the log that it was used in: it is never used
    /// again. Durable when it returns `Ok`.
    ///
    /// # Errors
    /// [`IdentityError::Member`] for a member, [`IdentityError::Io`].
    pub fn give_up_joining(&mut self) -> Result<(), IdentityError> {
        match self.current.state {
            Standing::Joining => self.replace(Identity::pristine(&self.current.node_name)),
            Standing::Pristine => Ok(()),
            Standing::Promised | Standing::Member => Err(self.member("give up a Raft id")),
        }
    }

    /// Makes this disk a member: after the promised cluster has formed, or when it has caught up under the id that
    /// the leader gave it (spec §13.4). Durable when it returns `Ok`. The same again is fine.
    ///
    /// # Errors
    /// [`IdentityError::Promised`] or [`IdentityError::Refused`] when a promise says otherwise,
    /// [`IdentityError::WrongCluster`], [`IdentityError::Member`] for another id, [`IdentityError::Io`].
    pub fn become_member(
        &mut self,
        cluster_id: &str,
        raft_id: u64,
        incarnation: u64,
    ) -> Result<(), IdentityError> {
        self.check_cluster(cluster_id)?;
        let next = self.current.member(cluster_id, raft_id, incarnation);
        match self.current.state {
            Standing::Member if self.current == next => return Ok(()),
            Standing::Member => return Err(self.member("take another raft id or incarnation")),
            Standing::Joining if self.current.joining(cluster_id, raft_id, incarnation) != self.current => {
                return Err(self.member("take another raft id or incarnation"));
            }
            Standing::Promised | Standing::Joining | Standing::Pristine => {}
        }
        if let Some(promise) = &self.current.promise
            && promise.raft_ids.get(&self.current.node_name) != Some(&raft_id)
        {
            return Err(IdentityError::Refused {
                path: self.path.clone(),
                reason: format!("raft id {raft_id} is not the one that was promised"),
            });
        }
        self.replace(next)
    }

    fn replace(&mut self, next: Identity) -> Result<(), IdentityError> {
        next.check().map_err(|reason| IdentityError::Refused { path: self.path.clone(), reason })?;
        write(&self.path, &next)?;
        self.current = next;
        Ok(())
    }

    fn promised_elsewhere(&self, made: &Promise, offered: &str) -> IdentityError {
        IdentityError::Promised {
            path: self.path.clone(),
            promised: made.cluster_id.clone(),
            offered: offered.to_owned(),
        }
    }

    fn member(&self, refused: &'static str) -> IdentityError {
        let cluster = self.current.cluster_id.clone().unwrap_or_default();
        IdentityError::Member { path: self.path.clone(), cluster, refused }
    }
}

/// The marker of a directory that is only read, if it has one.
///
/// # Errors
/// [`IdentityError`] when it is there and makes no sense.
pub(crate) fn read_marker(raft_dir: &Path) -> Result<Option<Identity>, IdentityError> {
    read(&raft_dir.join(MARKER_FILE))
}

/// A directory that holds Raft data was somebody; it must not become nobody.
fn refuse_beside_data(raft_dir: &Path, path: &Path) -> Result<(), IdentityError> {
    match data_in(raft_dir)? {
        Some(beside) => Err(IdentityError::Missing { path: path.to_owned(), beside }),
        None => Ok(()),
    }
}

/// A directory in `raft_dir` that exists only where a node has lived, and is not empty.
///
/// # Errors
/// [`IdentityError::Io`].
pub(crate) fn data_in(raft_dir: &Path) -> Result<Option<PathBuf>, IdentityError> {
    for name in RAFT_DATA {
        let beside = raft_dir.join(name);
        let used = match fs::read_dir(&beside) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(IdentityError::io("list", &beside)(error)),
        };
        if used {
            return Ok(Some(beside));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<Identity>, IdentityError> {
    let Some(identity): Option<Identity> = read_versioned(path, MAX_BYTES, FORMAT_VERSION)? else {
        return Ok(None);
    };
    let invalid = |reason: String| IdentityError::Invalid { path: path.to_owned(), reason };
    identity.check().map_err(invalid)?;
    Ok(Some(identity))
}

/// The content of a small file of JSON with a `format_version`; `None` where there is no file.
pub(super) fn read_versioned<T: DeserializeOwned>(
    path: &Path,
    most: u64,
    known: u64,
) -> Result<Option<T>, IdentityError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(IdentityError::io("open", path)(error)),
    };
    let invalid = |reason: String| IdentityError::Invalid { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(IdentityError::io("read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(invalid(format!("it is larger than {most} bytes")));
    }
    // The version first: a later format may have fields that this release would refuse as unknown.
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    match value.get("format_version").and_then(Value::as_u64) {
        Some(version) if version == known => {}
        Some(version) => {
            return Err(IdentityError::UnknownVersion { path: path.to_owned(), version, known });
        }
        None => return Err(invalid("format_version is missing".to_owned())),
    }
    // From the bytes again, not from the value: a repeated field must not pass.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| invalid(error.to_string()))
}

fn write(path: &Path, identity: &Identity) -> Result<(), IdentityError> {
    identity.check().map_err(|reason| IdentityError::Refused { path: path.to_owned(), reason })?;
    let mut bytes = serde_json::to_vec_pretty(identity)
        .map_err(|error| IdentityError::Refused { path: path.to_owned(), reason: error.to_string() })?;
    bytes.push(b'\n');
    durable::write_file_durably(path, &bytes).map_err(IdentityError::io("write", path))
}
