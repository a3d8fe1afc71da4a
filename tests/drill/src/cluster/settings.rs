//! Files and settings of the nodes of a drill.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::net::NODES;
use crate::shell;

/// Master keys that must stand in no file, log or entry in clear: the drills search for them.
pub const SIGNING_MASTER_KEY: &str = "planted-signing-master-key-0123456789abcdef";
/// As [`SIGNING_MASTER_KEY`].
pub const SECRETBOX_MASTER_KEY: &str = "cGxhbnRlZC1zZWNyZXRib3gtbWFzdGVyLWtleS0wMTI=";

/// `NODE_ID` of a node.
pub fn name(node: usize) -> String {
    format!("node{}", node + 1)
}

/// What the nodes are started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program under test.
    pub binary: PathBuf,
    /// Directory of everything.
    pub work: PathBuf,
    /// Further environment of all nodes.
    pub extra: BTreeMap<String, String>,
    /// Further environment of single nodes.
    pub own: BTreeMap<usize, BTreeMap<String, String>>,
    /// File systems in memory, by directory relative to `work`, with their megabytes.
    pub mounts: BTreeMap<String, u64>,
    /// Environment of the command that makes the certificates.
    pub making_certificates: BTreeMap<String, String>,
}

impl Settings {
    /// Settings as they ship.
    pub fn new(binary: &Path, work: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            work: work.to_owned(),
            extra: BTreeMap::new(),
            own: BTreeMap::new(),
            mounts: BTreeMap::new(),
            making_certificates: BTreeMap::new(),
        }
    }

    /// Sets an environment variable of all nodes.
    pub fn set(&mut self, name: &str, value: &str) {
        self.extra.insert(name.to_owned(), value.to_owned());
    }

    /// Sets an environment variable of one node.
    pub fn set_own(&mut self, node: usize, name: &str, value: &str) {
        self.own.entry(node).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Directory of a node's control plane.
    pub fn root(&self, node: usize) -> PathBuf {
        self.work.join(name(node))
    }

    /// A node's log file.
    pub fn log(&self, node: usize) -> PathBuf {
        self.work.join(format!("{}.log", name(node)))
    }

    /// Directory of the certificates.
    pub fn certificates(&self) -> PathBuf {
        self.work.join("certs")
    }

    pub(super) async fn make_certificates(&self) -> Result<(), String> {
        // What an earlier run kept, or an interrupted one left behind.
        self.unmount().await;
        if self.work.exists() {
            std::fs::remove_dir_all(&self.work)
                .map_err(|error| format!("cannot remove {}: {error}", self.work.display()))?;
        }
        std::fs::create_dir_all(&self.work)
            .map_err(|error| format!("cannot make {}: {error}", self.work.display()))?;
        let mut command = Command::new(&self.binary);
        command.envs(&self.making_certificates).args(["cluster", "certs", "--out"]).arg(self.certificates());
        for node in 0..NODES {
            command.args(["--node", &name(node)]);
        }
        shell::output(command).await.map(drop)
    }

    /// Makes the directories and mounts.
    pub(super) async fn prepare(&self) -> Result<(), String> {
        for node in 0..NODES {
            let root = self.root(node);
            std::fs::create_dir_all(&root)
                .map_err(|error| format!("cannot make {}: {error}", root.display()))?;
        }
        // In order, so that one may lie in another.
        for (directory, megabytes) in &self.mounts {
            let path = self.work.join(directory);
            std::fs::create_dir_all(&path)
                .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
            let options = format!("size={megabytes}m,mode=700");
            shell::run("mount", &["-t", "tmpfs", "-o", &options, "hjd", &path.display().to_string()]).await?;
        }
        Ok(())
    }

    pub(super) async fn unmount(&self) {
        for directory in self.mounts.keys().rev() {
            let path = self.work.join(directory).display().to_string();
            // Not mounted is what is wanted.
            let _gone = shell::run("umount", &["-l", &path]).await;
        }
    }

    /// The environment of a node that listens for peers at `raft` and reaches them at `peers`.
    pub(super) fn env(
        &self,
        node: usize,
        raft: &str,
        peers: &[String],
        http: &[String; NODES],
    ) -> BTreeMap<String, String> {
        let certs = self.certificates();
        let pem = |file: String| certs.join(file).display().to_string();
        let list = |prefix: &str, addresses: &[String]| {
            let items: Vec<String> = addresses
                .iter()
                .enumerate()
                .map(|(node, address)| format!("{}={prefix}{address}", name(node)))
                .collect();
            items.join(",")
        };
        let own = name(node);
        let mut env: BTreeMap<String, String> = [
            ("CLUSTER_MODE", "embedded".to_owned()),
            ("NODE_ID", own.clone()),
            ("CLUSTER_NODES", list("", peers)),
            ("RAFT_ADDR", raft.to_owned()),
            ("LEADER_REDIRECTS", list("http://", http)),
            ("RAFT_TLS_ENABLE", "1".to_owned()),
            ("RAFT_TLS_CERT_FILE", pem(format!("{own}.pem"))),
            ("RAFT_TLS_KEY_FILE", pem(format!("{own}-key.pem"))),
            ("RAFT_TLS_CA_FILE", pem("ca.pem".to_owned())),
            ("SERVER_ADDR", http.get(node).cloned().unwrap_or_default()),
            ("SERVER_PUBLIC_URL", "http://id.example.test".to_owned()),
            ("SIGNING_MASTER_KEY", SIGNING_MASTER_KEY.to_owned()),
            ("SECRETBOX_MASTER_KEY", SECRETBOX_MASTER_KEY.to_owned()),
            ("CONTROL_PLANE_FS_ROOT", self.root(node).display().to_string()),
            ("FS_SCAN_INTERVAL", "1s".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            // The load comes from one address and goes as fast as it can.
            ("RATE_ENABLED", "0".to_owned()),
            ("DISABLE_DOTENV", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        env.extend(self.extra.clone());
        env.extend(self.own.get(&node).cloned().unwrap_or_default());
        env
    }
}
