//! A control plane without a cluster, a node that only projects, and eyes for what it left on the disk.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::documents::{
    Alg, ClientPatch, IssuerMode, NewClientSecret, NewKey, Patch, PublicJwk, SecretHash, SettingsPatch,
    TenantPatch,
};
use hellojohn_control::{
    Batch, ClientId, Command, Envelope, Issuer, Kid, Machine, Sealed, Slug, Timestamp, View,
};
use hellojohn_raft::project::{ProjectionStatus, Projector, ProjectorSettings};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

pub(crate) const NEVER: Duration = Duration::from_secs(3_600);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// A control plane without a cluster around it.
pub(crate) struct Plane {
    pub(crate) machine: Machine,
    pub(crate) index: u64,
}

impl Plane {
    pub(crate) fn new() -> Self {
        Self { machine: Machine::new(Issuer::new("https://id.example.com")), index: 0 }
    }

    pub(crate) fn apply(&mut self, commands: impl IntoIterator<Item = Command>) -> Arc<View> {
        self.index += 1;
        let envelope = |command| Envelope {
            at: Timestamp::from_millis(1_795_305_600_000),
            actor: "system".to_owned(),
            request_id: "r".to_owned(),
            ip: None,
            precondition: None,
            idempotency: None,
            command,
        };
        let outcomes = self.machine.apply(&Batch::new(commands.into_iter().map(envelope).collect())).unwrap();
        for outcome in outcomes {
            outcome.unwrap();
        }
        self.view()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(self.machine.view(self.index))
    }
}

pub(crate) fn new_key(kid: &str) -> NewKey {
    NewKey {
        kid: Kid::parse(kid).unwrap(),
        alg: Alg::EdDsa,
        public_jwk: PublicJwk::Okp { crv: "Ed25519".to_owned(), x: "AAAA".to_owned() },
        private_key: Sealed::parse("GCMV1:mk1:AAAA").unwrap(),
    }
}

pub(crate) fn put_tenant(name: &str, title: &str) -> Command {
    let patch = TenantPatch { name: Patch::Set(title.to_owned()), ..TenantPatch::default() };
    Command::PutTenant { slug: slug(name), patch, new_keys: Vec::new() }
}

pub(crate) fn put_path_tenant(name: &str) -> Command {
    let settings: SettingsPatch = serde_json::from_str(r#"{"issuerMode":"path"}"#).unwrap();
    assert_eq!(settings.issuer_mode, Patch::Set(IssuerMode::Path));
    let patch = TenantPatch { settings: Patch::Set(settings), ..TenantPatch::default() };
    Command::PutTenant { slug: slug(name), patch, new_keys: vec![new_key(&format!("key-of-{name}"))] }
}

pub(crate) fn put_client(tenant: &str, id: &str, title: &str) -> Command {
    Command::PutClient {
        slug: slug(tenant),
        client_id: ClientId::parse(id).unwrap(),
        patch: ClientPatch { name: Patch::Set(title.to_owned()), ..ClientPatch::default() },
        new_id: Uuid::from_u128(7),
        new_secret: NewClientSecret { id: Uuid::from_u128(8), hash: SecretHash::new([1; 32]) },
    }
}

pub(crate) fn delete_client(tenant: &str, id: &str) -> Command {
    Command::DeleteClient { slug: slug(tenant), client_id: ClientId::parse(id).unwrap() }
}

pub(crate) fn delete_tenant(name: &str) -> Command {
    Command::DeleteTenant { slug: slug(name) }
}

pub(crate) fn global_keys() -> Command {
    Command::EnsureGlobalKeys { keys: vec![new_key("global-1")] }
}

/// Global keys, a tenant with two clients, and one with an issuer of its own.
pub(crate) fn small() -> Plane {
    let mut plane = Plane::new();
    plane.apply([
        global_keys(),
        put_tenant("acme", "Acme"),
        put_client("acme", "web", "Web"),
        put_client("acme", "WEB", "Another"),
        put_path_tenant("own"),
    ]);
    plane
}

pub(crate) const SMALL: [&str; 8] = [
    "keys/_global/global-1.yaml",
    "keys/own/key-of-own.yaml",
    "tenants/acme/clients/WEB.yaml",
    "tenants/acme/clients/web.yaml",
    "tenants/acme/scopes.yaml",
    "tenants/acme/tenant.yaml",
    "tenants/own/scopes.yaml",
    "tenants/own/tenant.yaml",
];

/// A projector over a root directory, fed by hand.
pub(crate) struct Node {
    pub(crate) views: watch::Sender<Arc<View>>,
    pub(crate) projector: Projector,
}

impl Node {
    pub(crate) fn asleep(root: &Path, view: Arc<View>, scan_interval: Duration) -> Self {
        let (views, receiver) = watch::channel(view);
        let settings =
            ProjectorSettings { scan_interval, now: Arc::new(|| Timestamp::from_millis(1_795_305_600_007)) };
        let projector = Projector::start(root.to_owned(), receiver, settings).unwrap();
        Self { views, projector }
    }

    pub(crate) fn start(root: &Path, view: Arc<View>) -> Self {
        let node = Self::asleep(root, view, NEVER);
        node.projector.enable();
        node
    }

    /// Started, and through with its first scan.
    pub(crate) async fn settled(root: &Path, view: Arc<View>) -> Self {
        let node = Self::start(root, view);
        node.until("the first scan", |status| status.scans >= 1).await;
        node
    }

    pub(crate) fn status(&self) -> Arc<ProjectionStatus> {
        self.projector.status()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&ProjectionStatus) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.status()) {
            assert!(Instant::now() < deadline, "waited in vain for {what}: {:?}", self.status());
            sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn show(&self, view: Arc<View>) {
        let index = view.applied_index();
        self.views.send_replace(view);
        self.until("the new view", |status| status.projected_index == Some(index)).await;
    }

    pub(crate) async fn rescan(&self) {
        let before = self.status().scans;
        self.projector.rescan();
        self.until("a scan", |status| status.scans > before).await;
    }

    pub(crate) async fn stop(self) {
        timeout(PATIENCE, self.projector.shutdown()).await.expect("the shutdown is bounded");
    }
}

/// Everything below a directory: permissions, and content of files or targets of links.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    fn visit(root: &Path, dir: &Path, into: &mut BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                Some(fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
            } else {
                metadata.is_file().then(|| fs::read(&path).unwrap())
            };
            into.insert(path.strip_prefix(root).unwrap().to_owned(), (metadata.mode(), content));
            if metadata.is_dir() {
                visit(root, &path, into);
            }
        }
    }
    let mut all = BTreeMap::new();
    visit(root, root, &mut all);
    all
}

/// What is compared between nodes.
pub(crate) fn projected(root: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let mut all = tree(root);
    all.retain(|path, _| path.starts_with("tenants") || path.starts_with("keys"));
    all
}

pub(crate) fn files(root: &Path) -> Vec<String> {
    let files = projected(root).into_iter().filter(|(_, (_, content))| content.is_some());
    files.map(|(path, _)| path.to_str().unwrap().to_owned()).collect()
}

/// What stands in the quarantine, without the directories by time.
pub(crate) fn quarantined(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let below = root.join("quarantine");
    if !below.exists() {
        return BTreeMap::new();
    }
    let times: Vec<OsString> =
        fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    times
        .iter()
        .flat_map(|time| tree(&below.join(time)))
        .map(|(path, (_, content))| (path, content))
        .collect()
}

/// What a fresh node makes of the view.
pub(crate) async fn reference(view: Arc<View>) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let temp = tempfile::tempdir().unwrap();
    Node::settled(temp.path(), view).await.stop().await;
    projected(temp.path())
}
