//! `hellojohn cluster snapshot …`: the control plane in a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::disk::{refused, refused_archive, scratch, wrote};
use super::inspect::Inspect;
use super::restore::Restore;
use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cluster::offline::{Archive, ArchiveError, Disk, MAX_BYTES, write_new};

/// How long an archive may take to come over the network.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// The commands under `cluster snapshot`.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    Save(Save),
    Inspect(Inspect),
    Restore(Restore),
}

/// Save the control plane to a file: tenants, clients, scopes and sealed keys, not the people
///
/// Asks the node at --url for its own state while it runs, or reads the disk of a stopped node. The file is checked
/// whole before it gets its name, and an existing file is not replaced. Keep it apart from the master keys: without
/// them its secrets cannot be opened, with them they can.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  HELLOJOHN_BEARER=$(hellojohn admin mint-token) hellojohn cluster snapshot save today.snap
  hellojohn cluster snapshot save today.snap --data /var/lib/hellojohn    # a stopped node
  hellojohn cluster snapshot save copy.snap --from-dir /mnt/old-disk/raft")]
pub struct Save {
    /// The file; must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    disk: OfDisk,
    #[command(flatten)]
    connection: Connection,
}

/// A disk instead of a node that runs.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(super) struct OfDisk {
    /// CONTROL_PLANE_FS_ROOT of a stopped node
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A copy of a node's raft/
    #[arg(long, value_name = "DIR")]
    from_dir: Option<PathBuf>,
}

impl OfDisk {
    fn dir(&self) -> Option<&Path> {
        self.data.as_deref().or(self.from_dir.as_deref())
    }
}

impl Snapshot {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Snapshot::Save(save) => save.run(session).await,
            Snapshot::Inspect(inspect) => inspect.run(session),
            Snapshot::Restore(restore) => restore.run(session),
        }
    }
}

impl Save {
    async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let path = session.directory.join(&self.file);
        // Before a node makes it for nothing.
        if path.symlink_metadata().is_ok() {
            return Err(refused_archive(ArchiveError::Exists { path }));
        }
        let (archive, bytes) = match self.disk.dir() {
            Some(dir) => of_disk(&session.directory.join(dir), &path, session)?,
            None => self.of_node(&path, session).await?,
        };
        write_new(&path, &bytes).map_err(refused_archive)?;
        let summary = archive.summary().map_err(|error| Failure::failed(error.to_string()))?;
        let (json, human) = wrote(&path.display().to_string(), bytes.len(), &summary)?;
        session.terminal.show(&json, || human)?;
        Ok(Exit::Ok)
    }

    async fn of_node(&self, path: &Path, session: &Session<'_>) -> Result<(Archive, Vec<u8>), Failure> {
        let api = self.connection.authorised(session).await?;
        let longest = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
        let (bytes, index) = api.fetch("/v1/admin/cluster/snapshot", longest, DOWNLOAD).await?;
        let archive = Archive::decode(path, bytes.clone()).map_err(|error| {
            refused_archive(error)
                .while_doing(format!("what {} sent cannot be used, nothing was written", api.base()))
                .remedy("try again; if it stays, save from another node")
        })?;
        if index != Some(archive.index()) {
            let what = format!("{} sent another state than it says; nothing was written", api.base());
            return Err(
                Failure::failed(what).remedy("is --url the address of a node or of its load balancer?")
            );
        }
        Ok((archive, bytes))
    }
}

fn of_disk(dir: &Path, path: &Path, session: &Session<'_>) -> Result<(Archive, Vec<u8>), Failure> {
    let disk = Disk::read(dir, &scratch(session)).map_err(|error| refused(&error))?;
    let archive = disk.archive(session.clock.now()).map_err(|error| refused(&error))?;
    let bytes = archive.encode(path).map_err(refused_archive)?;
    Ok((archive, bytes))
}
