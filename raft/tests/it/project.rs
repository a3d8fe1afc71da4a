//! The projection on real directories (spec §2.1, §13.1; ha.md I5, F10, F11, F12).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests; a failure is a failed test")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::documents::{
    Alg, ClientPatch, IssuerMode, NewClientSecret, NewKey, Patch, PublicJwk, SecretHash, SettingsPatch,
    TenantPatch,
};
use hellojohn_control::{
    Batch, ClientId, Command, Envelope, Issuer, Kid, Machine, Sealed, Slug, Timestamp, View,
};
use hellojohn_raft::project::{ProjectionStatus, Projector, ProjectorSettings, has_foreign_files};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

const NEVER: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// A control plane without a cluster around it.
struct Plane {
    machine: Machine,
    index: u64,
}

impl Plane {
    fn new() -> Self {
        Self { machine: Machine::new(Issuer::new("https://id.example.com")), index: 0 }
    }

    fn apply(&mut self, commands: impl IntoIterator<Item = Command>) -> Arc<View> {
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

    fn view(&self) -> Arc<View> {
        Arc::new(self.machine.view(self.index))
    }
}

fn new_key(kid: &str) -> NewKey {
    NewKey {
        kid: Kid::parse(kid).unwrap(),
        alg: Alg::EdDsa,
        public_jwk: PublicJwk::Okp { crv: "Ed25519".to_owned(), x: "AAAA".to_owned() },
        private_key: Sealed::parse("GCMV1:mk1:AAAA").unwrap(),
    }
}

fn put_tenant(name: &str, title: &str) -> Command {
    let patch = TenantPatch { name: Patch::Set(title.to_owned()), ..TenantPatch::default() };
    Command::PutTenant { slug: slug(name), patch, new_keys: Vec::new() }
}

fn put_path_tenant(name: &str) -> Command {
    let settings: SettingsPatch = serde_json::from_str(r#"{"issuerMode":"path"}"#).unwrap();
    assert_eq!(settings.issuer_mode, Patch::Set(IssuerMode::Path));
    let patch = TenantPatch { settings: Patch::Set(settings), ..TenantPatch::default() };
    Command::PutTenant { slug: slug(name), patch, new_keys: vec![new_key(&format!("key-of-{name}"))] }
}

fn put_client(tenant: &str, id: &str, title: &str) -> Command {
    Command::PutClient {
        slug: slug(tenant),
        client_id: ClientId::parse(id).unwrap(),
        patch: ClientPatch { name: Patch::Set(title.to_owned()), ..ClientPatch::default() },
        new_id: Uuid::from_u128(7),
        new_secret: NewClientSecret { id: Uuid::from_u128(8), hash: SecretHash::new([1; 32]) },
    }
}

fn delete_client(tenant: &str, id: &str) -> Command {
    Command::DeleteClient { slug: slug(tenant), client_id: ClientId::parse(id).unwrap() }
}

fn delete_tenant(name: &str) -> Command {
    Command::DeleteTenant { slug: slug(name) }
}

fn global_keys() -> Command {
    Command::EnsureGlobalKeys { keys: vec![new_key("global-1")] }
}

/// Global keys, a tenant with two clients, and one with an issuer of its own.
fn small() -> Plane {
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

const SMALL: [&str; 8] = [
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
struct Node {
    views: watch::Sender<Arc<View>>,
    projector: Projector,
}

impl Node {
    fn asleep(root: &Path, view: Arc<View>, scan_interval: Duration) -> Self {
        let (views, receiver) = watch::channel(view);
        let settings =
            ProjectorSettings { scan_interval, now: Arc::new(|| Timestamp::from_millis(1_795_305_600_007)) };
        let projector = Projector::start(root.to_owned(), receiver, settings).unwrap();
        Self { views, projector }
    }

    fn start(root: &Path, view: Arc<View>) -> Self {
        let node = Self::asleep(root, view, NEVER);
        node.projector.enable();
        node
    }

    /// Started, and through with its first scan.
    async fn settled(root: &Path, view: Arc<View>) -> Self {
        let node = Self::start(root, view);
        node.until("the first scan", |status| status.scans >= 1).await;
        node
    }

    fn status(&self) -> Arc<ProjectionStatus> {
        self.projector.status()
    }

    async fn until(&self, what: &str, holds: impl Fn(&ProjectionStatus) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.status()) {
            assert!(Instant::now() < deadline, "waited in vain for {what}: {:?}", self.status());
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn show(&self, view: Arc<View>) {
        let index = view.applied_index();
        self.views.send_replace(view);
        self.until("the new view", |status| status.projected_index == Some(index)).await;
    }

    async fn rescan(&self) {
        let before = self.status().scans;
        self.projector.rescan();
        self.until("a scan", |status| status.scans > before).await;
    }

    async fn stop(self) {
        timeout(PATIENCE, self.projector.shutdown()).await.expect("the shutdown is bounded");
    }
}

/// Everything below a directory: permissions, and content of files or targets of links.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
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
fn projected(root: &Path) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let mut all = tree(root);
    all.retain(|path, _| path.starts_with("tenants") || path.starts_with("keys"));
    all
}

fn files(root: &Path) -> Vec<String> {
    let files = projected(root).into_iter().filter(|(_, (_, content))| content.is_some());
    files.map(|(path, _)| path.to_str().unwrap().to_owned()).collect()
}

/// What stands in the quarantine, without the directories by time.
fn quarantined(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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
async fn reference(view: Arc<View>) -> BTreeMap<PathBuf, (u32, Option<Vec<u8>>)> {
    let temp = tempfile::tempdir().unwrap();
    Node::settled(temp.path(), view).await.stop().await;
    projected(temp.path())
}

/// spec §2.1
#[tokio::test]
async fn documents_stand_where_the_specification_says_and_are_for_the_owner_only() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::settled(temp.path(), small().view()).await;
    assert_eq!(files(temp.path()), SMALL);
    for (path, (mode, content)) in projected(temp.path()) {
        assert_eq!(mode & 0o7777, if content.is_some() { 0o600 } else { 0o700 }, "{path:?}");
    }
    let status = node.status();
    assert_eq!((status.written, status.repairs, status.quarantined), (8, 0, 0));
    assert_eq!(status.fs_degraded, None);
    node.stop().await;
    assert_eq!(
        fs::read_to_string(temp.path().join("raft/projected")).unwrap(),
        "{\"v\":1,\"projected_index\":1}\n"
    );
}

/// spec §1.4, I5: the way to a state leaves no trace in the files.
#[tokio::test]
async fn nodes_that_saw_other_views_on_the_way_hold_the_same_bytes() {
    let mut plane = small();
    let steps = [
        plane.view(),
        plane.apply([put_tenant("gone", "Gone"), put_client("gone", "x", "X"), put_path_tenant("gone")]),
        plane.apply([put_client("acme", "late", "Late"), put_tenant("acme", "no")]),
        plane.apply([delete_tenant("gone"), delete_client("acme", "web"), delete_client("acme", "late")]),
        plane.apply([delete_client("acme", "WEB")]),
        plane.apply([put_client("own", "CON", "1e3"), put_path_tenant("acme")]),
    ];
    let [a, b, c] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let walker = Node::settled(a.path(), Plane::new().view()).await;
    for step in &steps {
        walker.show(Arc::clone(step)).await;
    }
    let jumper = Node::settled(b.path(), Arc::clone(&steps[1])).await;
    jumper.show(Arc::clone(&steps[5])).await;
    // Third: by snapshot, where nothing is shared with the view before.
    let installed = Node::settled(c.path(), Arc::clone(&steps[2])).await;
    let mut restored = Plane::new();
    restored.machine.install(plane.machine.image()).unwrap();
    restored.index = plane.index;
    installed.show(restored.view()).await;

    for node in [walker, jumper, installed] {
        let status = node.status();
        assert_eq!((status.repairs, status.quarantined, &status.fs_degraded), (0, 0, &None));
        node.stop().await;
    }
    let expected = projected(a.path());
    assert_eq!(
        files(a.path()),
        [
            "keys/_global/global-1.yaml",
            "keys/acme/key-of-acme.yaml",
            "keys/own/key-of-own.yaml",
            "tenants/acme/scopes.yaml",
            "tenants/acme/tenant.yaml",
            "tenants/own/clients/CON.yaml",
            "tenants/own/scopes.yaml",
            "tenants/own/tenant.yaml",
        ]
    );
    assert!(!a.path().join("tenants/acme/clients").exists(), "no empty directory stays");
    assert_eq!(projected(b.path()), expected);
    assert_eq!(projected(c.path()), expected);
}

/// F12: a flipped bit in a YAML file, a missing one, open permissions.
#[tokio::test]
async fn damaged_files_are_repaired_and_their_bytes_kept() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::settled(temp.path(), small().view()).await;
    let right = projected(temp.path());

    let damaged = temp.path().join("tenants/acme/clients/web.yaml");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[20] ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    fs::remove_file(temp.path().join("keys/own/key-of-own.yaml")).unwrap();
    let open = temp.path().join("tenants/own/tenant.yaml");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(temp.path().join("keys"), fs::Permissions::from_mode(0o755)).unwrap();

    node.rescan().await;
    assert_eq!(projected(temp.path()), right);
    assert_eq!(node.status().repairs, 4);
    let kept = quarantined(temp.path());
    assert_eq!(kept.get(Path::new("tenants/acme/clients/web.yaml")), Some(&Some(bytes)));
    assert_eq!(node.status().quarantined, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_scan_comes_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::asleep(temp.path(), small().view(), Duration::from_millis(40));
    node.projector.enable();
    node.until("the first scan", |status| status.scans >= 1).await;
    let right = projected(temp.path());
    fs::remove_dir_all(temp.path().join("tenants/acme")).unwrap();
    fs::write(temp.path().join("keys/_global/global-1.yaml"), "kid: forged\n").unwrap();
    node.until("repairs", |status| status.repairs >= 5).await;
    assert_eq!(projected(temp.path()), right);
    node.stop().await;
}

/// Bytes that changed under an unchanged stamp (a disk that rots) are found by every tenth scan.
#[tokio::test]
async fn every_tenth_scan_reads_all_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::asleep(temp.path(), small().view(), Duration::from_millis(5));
    node.projector.enable();
    node.until("enough scans", |status| status.scans >= 12).await;
    assert_eq!((node.status().written, node.status().repairs), (8, 0), "scans of right files write nothing");
    node.stop().await;
}

/// spec §13.1: what the state does not know is moved, never deleted.
#[tokio::test]
async fn unknown_files_and_directories_move_to_the_quarantine() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::settled(temp.path(), small().view()).await;
    let right = projected(temp.path());
    let foreign = [
        "tenants/acme/clients/foreign.yaml",
        "tenants/acme/clients/web.yaml.bak",
        "tenants/stranger/clients/deep/er.yaml",
        "tenants/acme/empty-not/x",
        "keys/_global/note.txt",
        "keys/loose.yaml",
        "tenants/.hidden\n",
    ];
    for path in foreign {
        let path = temp.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, path.to_str().unwrap()).unwrap();
    }
    // Ours from a crash: an unfinished file, a directory whose last file was just removed.
    fs::write(temp.path().join("tenants/acme/.tenant.yaml.tmp"), "half").unwrap();
    fs::create_dir_all(temp.path().join("tenants/just-deleted")).unwrap();

    node.rescan().await;
    assert_eq!(projected(temp.path()), right);
    let kept = quarantined(temp.path());
    for path in foreign {
        let bytes = temp.path().join(path).to_str().unwrap().as_bytes().to_vec();
        assert_eq!(kept.get(Path::new(path)), Some(&Some(bytes)), "{path:?}");
    }
    assert_eq!(kept.values().flatten().count(), foreign.len(), "nothing else was kept: {kept:?}");
    assert_eq!(node.status().quarantined, 7);
    assert_eq!(node.status().fs_degraded, None);
    node.stop().await;
}

/// S105: symbolic links in `tenants/` and `keys/` are not followed, neither in writing nor in removing.
#[tokio::test]
async fn planted_symbolic_links_are_moved_away_and_what_they_point_to_is_untouched() {
    let temp = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for file in ["tenant.yaml", "victim"] {
        fs::write(elsewhere.path().join(file), "untouched").unwrap();
    }
    let before = tree(elsewhere.path());
    let mut plane = small();
    let node = Node::settled(temp.path(), plane.view()).await;
    let acme = temp.path().join("tenants/acme");
    fs::remove_dir_all(&acme).unwrap();
    symlink(elsewhere.path(), &acme).unwrap();
    fs::remove_dir_all(temp.path().join("keys")).unwrap();
    symlink(elsewhere.path(), temp.path().join("keys")).unwrap();
    symlink(elsewhere.path().join("victim"), temp.path().join("tenants/own/planted.yaml")).unwrap();
    fs::remove_file(temp.path().join("tenants/own/tenant.yaml")).unwrap();
    symlink(elsewhere.path().join("victim"), temp.path().join("tenants/own/tenant.yaml")).unwrap();

    // Not a scan: a change must not write through the link either.
    let view = plane.apply([put_tenant("acme", "Changed"), delete_client("acme", "web")]);
    node.show(Arc::clone(&view)).await;
    node.rescan().await;
    assert_eq!(projected(temp.path()), reference(view).await);
    assert_eq!(tree(elsewhere.path()), before);
    let kept = quarantined(temp.path());
    for link in ["tenants/acme", "keys", "tenants/own/planted.yaml", "tenants/own/tenant.yaml"] {
        assert!(kept.contains_key(Path::new(link)), "{link}: {kept:?}");
    }
    node.stop().await;
}

/// spec §2.1: edited by hand between two scans, and then changed by command.
#[tokio::test]
async fn an_edit_by_hand_is_kept_when_a_change_replaces_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut plane = small();
    let node = Node::settled(temp.path(), plane.view()).await;
    fs::write(temp.path().join("tenants/acme/clients/web.yaml"), "edited: web\n").unwrap();
    fs::write(temp.path().join("tenants/acme/clients/WEB.yaml"), "edited: WEB\n").unwrap();
    let view = plane.apply([put_client("acme", "web", "New"), delete_client("acme", "WEB")]);
    node.show(Arc::clone(&view)).await;
    assert_eq!(projected(temp.path()), reference(view).await);
    let kept = quarantined(temp.path());
    for name in ["web", "WEB"] {
        let path = format!("tenants/acme/clients/{name}.yaml");
        assert_eq!(kept.get(Path::new(&path)), Some(&Some(format!("edited: {name}\n").into_bytes())));
    }
    assert_eq!((node.status().repairs, node.status().quarantined), (1, 2));
    node.stop().await;
}

/// F10, second half: files that cannot be written degrade the node and heal by themselves.
#[tokio::test]
async fn a_path_that_cannot_be_cleared_degrades_until_it_can() {
    let temp = tempfile::tempdir().unwrap();
    let mut plane = small();
    let node = Node::settled(temp.path(), plane.view()).await;
    // A file where a directory must be, and no way to move it.
    fs::write(temp.path().join("quarantine"), "in the way").unwrap();
    fs::remove_dir_all(temp.path().join("tenants/acme")).unwrap();
    fs::write(temp.path().join("tenants/acme"), "in the way").unwrap();
    let view = plane.apply([put_client("acme", "web", "Changed"), put_client("own", "fine", "Fine")]);
    node.views.send_replace(view);
    node.until("trouble", |status| status.fs_degraded.is_some()).await;
    let why = node.status().fs_degraded.clone().unwrap();
    assert!(why.contains("not a directory"), "{why}");
    assert_eq!(node.status().projected_index, Some(1), "never ahead of the files");
    // The view goes on meanwhile; the rest of the tree follows it.
    let newest = plane.apply([
        put_tenant("own", "Newest"),
        delete_client("acme", "WEB"),
        put_tenant("extra", "Extra"),
    ]);
    node.views.send_replace(Arc::clone(&newest));
    let extra = temp.path().join("tenants/extra/tenant.yaml");
    node.until("the rest", |_| extra.exists()).await;
    let last = plane.apply([delete_tenant("extra")]);
    node.views.send_replace(Arc::clone(&last));

    fs::remove_file(temp.path().join("quarantine")).unwrap();
    node.until("healing", |status| status.fs_degraded.is_none() && status.projected_index == Some(4)).await;
    assert_eq!(projected(temp.path()), reference(last).await);
    let kept = quarantined(temp.path());
    assert_eq!(kept.get(Path::new("tenants/acme")), Some(&Some(b"in the way".to_vec())));
    assert_eq!(kept.values().flatten().count(), 1, "what was ours was not taken for foreign: {kept:?}");
    node.stop().await;
}

/// A file system of a given size; needs the right to mount.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0700");
        let mounted =
            Process::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { dir }),
            refused => {
                eprintln!("SKIP: this test needs the right to mount a tmpfs: {refused:?}");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let done = Process::new("mount").args(["-o", &options]).arg(self.dir.path()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Process::new("umount").arg(self.dir.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "cannot unmount {:?}", self.dir.path());
    }
}

/// F10, second half: the disk of the files is full.
#[tokio::test]
async fn a_full_disk_degrades_and_heals_without_loss() {
    let Some(disk) = SmallDisk::mount("256k") else { return };
    let root = disk.dir.path();
    let mut plane = small();
    let node = Node::settled(root, plane.view()).await;
    let many = |title: &str| (0..100).map(|n| put_tenant(&format!("t{n}"), title)).collect::<Vec<_>>();
    node.views.send_replace(plane.apply(many("First")));
    node.until("a full disk", |status| status.fs_degraded.is_some()).await;
    let why = node.status().fs_degraded.clone().unwrap();
    assert!(why.contains("ENOSPC") || why.contains("No space left"), "{why}");
    assert_eq!(node.status().projected_index, Some(1));
    // Some of what was written is changed, some removed, before the disk is well.
    let mut more = many("Second");
    more.truncate(50);
    more.extend((80..100).map(|n| delete_tenant(&format!("t{n}"))));
    more.push(delete_tenant("t3"));
    let last = plane.apply(more);
    node.views.send_replace(Arc::clone(&last));
    disk.resize("16m");
    node.until("healing", |status| status.fs_degraded.is_none() && status.projected_index == Some(3)).await;
    assert_eq!(projected(root), reference(last).await);
    assert_eq!((node.status().repairs, node.status().quarantined), (0, 0), "nobody else touched the files");
    node.stop().await;
    assert!(!tree(root).keys().any(|path| path.to_string_lossy().ends_with(".tmp")));
}

/// F11: a crash among the files, before `raft/projected` follows them.
#[tokio::test]
async fn after_a_crash_between_files_and_index_the_next_start_completes_them() {
    let temp = tempfile::tempdir().unwrap();
    let mut plane = small();
    Node::settled(temp.path(), plane.view()).await.stop().await;
    let old = projected(temp.path());
    let view = plane.apply([
        put_client("acme", "web", "Changed"),
        put_client("acme", "WEB", "Changed"),
        put_client("acme", "new", "New"),
        put_tenant("own", "Changed"),
    ]);
    // Half of the new files made it, one is unfinished, the index is still the old one.
    let new = reference(Arc::clone(&view)).await;
    let web = "tenants/acme/clients/web.yaml";
    assert_ne!(new[Path::new(web)], old[Path::new(web)]);
    fs::write(temp.path().join(web), new[Path::new(web)].1.as_ref().unwrap()).unwrap();
    fs::write(temp.path().join("tenants/own/.tenant.yaml.tmp"), "slug: o").unwrap();

    let node = Node::settled(temp.path(), view).await;
    assert_eq!(projected(temp.path()), new);
    let status = node.status();
    assert_eq!((status.repairs, status.quarantined), (0, 0), "files that are merely behind are no damage");
    assert_eq!((status.written, status.projected_index), (3, Some(2)));
    node.stop().await;
}

#[tokio::test]
async fn what_was_edited_or_removed_while_the_process_was_down_is_reported() {
    let temp = tempfile::tempdir().unwrap();
    let mut plane = small();
    Node::settled(temp.path(), plane.view()).await.stop().await;
    let edited = temp.path().join("tenants/acme/tenant.yaml");
    fs::write(&edited, fs::read_to_string(&edited).unwrap().replace("name: Acme", "name: Evil")).unwrap();
    fs::remove_file(temp.path().join("tenants/acme/scopes.yaml")).unwrap();
    let node = Node::settled(temp.path(), plane.view()).await;
    assert_eq!((node.status().repairs, node.status().quarantined), (2, 1));
    node.stop().await;

    // Also when the state went on meanwhile and the edit is of a document that did not.
    fs::write(&edited, "name: Evil\n").unwrap();
    let view = plane.apply([put_client("acme", "web", "Changed")]);
    let node = Node::settled(temp.path(), Arc::clone(&view)).await;
    assert_eq!((node.status().repairs, node.status().quarantined, node.status().written), (1, 1, 2));
    assert_eq!(projected(temp.path()), reference(view).await);
    node.stop().await;
}

/// spec §13.1: before the node knows its state, it must not judge files by it.
#[tokio::test]
async fn nothing_is_touched_before_the_projection_is_enabled() {
    let temp = tempfile::tempdir().unwrap();
    for file in ["tenants/acme/tenant.yaml", "tenants/foreign/x", "keys/_global/k.yaml"] {
        fs::create_dir_all(temp.path().join(file).parent().unwrap()).unwrap();
        fs::write(temp.path().join(file), file).unwrap();
    }
    let before = tree(temp.path());
    let mut plane = small();
    let node = Node::asleep(temp.path(), plane.view(), Duration::from_millis(1));
    node.views.send_replace(plane.apply([put_tenant("more", "More")]));
    node.projector.rescan();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*node.status(), ProjectionStatus::default());
    node.stop().await;
    assert_eq!(tree(temp.path()), before);
    // The same node would have touched them had it been let.
    Node::settled(temp.path(), plane.view()).await.stop().await;
    assert_ne!(tree(temp.path()), before);
}

/// spec §13.1: a pristine `raft/` beside files; the cluster that the node joined knows some of the names.
#[tokio::test]
async fn files_of_another_life_are_kept_when_a_cluster_is_joined() {
    let temp = tempfile::tempdir().unwrap();
    assert!(!has_foreign_files(&temp.path().join("absent")).unwrap());
    assert!(!has_foreign_files(temp.path()).unwrap());
    // A tree that we wrote ourselves, byte for byte, but for another cluster.
    let mut other = Plane::new();
    let view =
        other.apply([global_keys(), put_tenant("acme", "Of another cluster"), put_tenant("lost", "Lost")]);
    Node::settled(temp.path(), view).await.stop().await;
    let before = projected(temp.path());
    fs::remove_dir_all(temp.path().join("raft")).unwrap();
    assert!(has_foreign_files(temp.path()).unwrap());

    let mut plane = small();
    let view = plane.apply([put_tenant("acme", "Newer")]);
    let node = Node::settled(temp.path(), Arc::clone(&view)).await;
    assert_eq!(projected(temp.path()), reference(view).await);
    let kept = quarantined(temp.path());
    for path in ["tenants/acme/tenant.yaml", "tenants/lost/tenant.yaml", "tenants/lost/scopes.yaml"] {
        let path = Path::new(path);
        assert_eq!(kept.get(path), Some(&before[path].1), "{path:?}");
    }
    node.stop().await;
}

#[test]
fn anything_below_tenants_or_keys_is_foreign_to_a_pristine_node() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("tenants")).unwrap();
    fs::create_dir_all(temp.path().join("keys")).unwrap();
    fs::create_dir_all(temp.path().join("raft/log")).unwrap();
    assert!(!has_foreign_files(temp.path()).unwrap());
    fs::create_dir(temp.path().join("keys/_global")).unwrap();
    assert!(has_foreign_files(temp.path()).unwrap());
    fs::remove_dir_all(temp.path().join("keys")).unwrap();
    symlink("/nonexistent", temp.path().join("keys")).unwrap();
    assert!(has_foreign_files(temp.path()).unwrap());
}

#[tokio::test]
async fn a_full_quarantine_is_said_and_deletes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::settled(temp.path(), small().view()).await;
    for n in 0..100 {
        fs::create_dir_all(temp.path().join(format!("quarantine/{n}"))).unwrap();
    }
    let foreign = temp.path().join("tenants/foreign.yaml");
    fs::write(&foreign, "precious").unwrap();
    fs::write(temp.path().join("tenants/acme/tenant.yaml"), "damaged").unwrap();
    node.rescan().await;
    let why = node.status().fs_degraded.clone().unwrap();
    assert!(why.contains("foreign.yaml") && why.contains("empty it"), "{why}");
    assert_eq!(fs::read_to_string(&foreign).unwrap(), "precious");
    assert_eq!((node.status().repairs, node.status().quarantined), (1, 0), "damage is repaired all the same");
    fs::remove_dir(temp.path().join("quarantine/7")).unwrap();
    node.rescan().await;
    assert_eq!(node.status().fs_degraded, None);
    assert_eq!(
        quarantined(temp.path()).get(Path::new("tenants/foreign.yaml")),
        Some(&Some(b"precious".to_vec()))
    );
    node.stop().await;
}

/// Entries that change no file cost no write, and still count at the end.
#[tokio::test]
async fn the_index_follows_entries_that_change_no_file() {
    let temp = tempfile::tempdir().unwrap();
    let mut plane = small();
    let node = Node::settled(temp.path(), plane.view()).await;
    let index_file = temp.path().join("raft/projected");
    let inode = fs::metadata(&index_file).unwrap().ino();
    node.show(plane.apply([put_tenant("acme", "Acme")])).await;
    assert_eq!(node.status().written, 8);
    assert_eq!(fs::metadata(&index_file).unwrap().ino(), inode, "not written");
    node.stop().await;
    assert_eq!(fs::read_to_string(&index_file).unwrap(), "{\"v\":1,\"projected_index\":2}\n");
    let node = Node::asleep(temp.path(), plane.view(), NEVER);
    assert_eq!(node.status().projected_index, Some(2), "known before anything is enabled");
    node.stop().await;
}

#[tokio::test]
async fn a_change_costs_what_changed_however_many_tenants_there_are() {
    let shm = Path::new("/dev/shm");
    let temp = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
    let mut plane = Plane::new();
    let view = plane.apply((0..2_000).map(|n| put_tenant(&format!("tenant-{n}"), "Many")));
    let node = Node::settled(temp.path(), view).await;
    assert_eq!(node.status().written, 4_000);
    node.show(plane.apply([put_client("tenant-7", "web", "Web")])).await;
    assert_eq!((node.status().written, node.status().removed), (4_001, 0));
    node.show(plane.apply([put_tenant("tenant-8", "Other"), delete_tenant("tenant-9")])).await;
    assert_eq!((node.status().written, node.status().removed), (4_002, 2));
    node.rescan().await;
    // A snapshot shares nothing with the view before, and has the same files.
    let mut restored = Plane::new();
    restored.machine.install(plane.machine.image()).unwrap();
    restored.index = plane.index + 1;
    node.show(restored.view()).await;
    let status = node.status();
    assert_eq!((status.written, status.removed, status.repairs, status.quarantined), (4_002, 2, 0, 0));
    node.stop().await;
}

#[tokio::test]
async fn the_end_does_not_wait_for_the_whole_tree() {
    let temp = tempfile::tempdir().unwrap();
    let mut plane = Plane::new();
    let view = plane.apply((0..500).map(|n| put_tenant(&format!("tenant-{n}"), "Many")));
    let node = Node::start(temp.path(), view);
    let first = temp.path().join("tenants");
    node.until("the first file", |_| first.exists()).await;
    node.stop().await;
    // The next start takes it from there, and takes nothing for foreign that the cut-off pass left.
    let node = Node::settled(temp.path(), plane.view()).await;
    assert_eq!((node.status().repairs, node.status().quarantined), (0, 0));
    assert_eq!(files(temp.path()).len(), 1_000);
    node.stop().await;
}

#[tokio::test]
async fn a_root_that_is_no_directory_is_refused_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    for bad in [file, temp.path().join("absent")] {
        let (_views, receiver) = watch::channel(Plane::new().view());
        let settings = ProjectorSettings {
            scan_interval: NEVER,
            now: Arc::new(|| Timestamp::from_millis(1_795_305_600_007)),
        };
        let error = Projector::start(bad, receiver, settings).unwrap_err().to_string();
        assert!(error.contains("CONTROL_PLANE_FS_ROOT"), "{error}");
    }
}

/// I9: what a node says about its files has no content in it.
#[tokio::test]
async fn errors_name_paths_and_never_content() {
    let temp = tempfile::tempdir().unwrap();
    let node = Node::settled(temp.path(), small().view()).await;
    fs::write(temp.path().join("quarantine"), "in the way").unwrap();
    let path = temp.path().join("keys/own/key-of-own.yaml");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("x"), "GCMV1:mk1:AAAA").unwrap();
    node.projector.rescan();
    node.until("trouble", |status| status.fs_degraded.is_some()).await;
    let text = format!("{:?} {:?}", node.status(), node.projector);
    assert!(!text.contains("GCMV1"), "{text}");
    node.stop().await;
}

/// A projector that is dropped ends as well.
#[tokio::test]
async fn dropping_the_projector_ends_its_task() {
    fn gone<T>(views: &watch::Sender<T>) -> impl Future<Output = ()> + '_ {
        views.closed()
    }
    let temp = tempfile::tempdir().unwrap();
    let Node { views, projector } = Node::settled(temp.path(), small().view()).await;
    drop(projector);
    timeout(PATIENCE, gone(&views)).await.expect("the task let go of the views");
}
