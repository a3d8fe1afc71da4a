//! Disks that fail and processes that die (F10 second half, F11).

use std::fs;
use std::path::Path;
use std::process::Command as Process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use hellojohn_control::{Timestamp, View};
use hellojohn_raft::project::{Projector, ProjectorSettings};
use tempfile::TempDir;
use tokio::sync::watch;

use super::bench::{
    NEVER, Node, PATIENCE, Plane, SMALL, delete_client, delete_tenant, files, projected, put_client,
    put_tenant, quarantined, reference, small, tree,
};

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

/// The clock is the one thing from outside that a pass calls, so it stands in for what may go wrong there.
fn node_with_clock(
    root: &Path,
    view: Arc<View>,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> Node {
    let (views, receiver) = watch::channel(view);
    let settings = ProjectorSettings { scan_interval: NEVER, now: Arc::new(now) };
    let node = Node { views, projector: Projector::start(root.to_owned(), receiver, settings).unwrap() };
    node.projector.enable();
    node
}

fn on_the_worker() -> bool {
    std::thread::current().name() == Some("projector")
}

#[tokio::test]
async fn a_worker_that_panics_is_replaced_and_the_files_are_completed() {
    let temp = tempfile::tempdir().unwrap();
    let panicked = AtomicBool::new(false);
    let node = node_with_clock(temp.path(), small().view(), move || {
        assert!(!on_the_worker() || panicked.swap(true, Ordering::Relaxed), "the first pass panics");
        Timestamp::default()
    });
    node.until("trouble", |status| status.fs_degraded.is_some()).await;
    node.until("healing", |status| status.fs_degraded.is_none() && status.scans == 1).await;
    assert_eq!(files(temp.path()), SMALL);
    node.stop().await;
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_the_end_up() {
    let temp = tempfile::tempdir().unwrap();
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let (entered, waiting) = mpsc::channel();
    let node = node_with_clock(temp.path(), small().view(), move || {
        if on_the_worker() {
            entered.send(()).unwrap();
            // Ends when the test does.
            let _released = hang.lock().unwrap().recv();
        }
        Timestamp::default()
    });
    tokio::task::spawn_blocking(move || waiting.recv_timeout(PATIENCE)).await.unwrap().unwrap();
    node.stop().await;
    assert!(!temp.path().join("tenants").exists(), "the pass had not begun to write");
    drop(release);
}
