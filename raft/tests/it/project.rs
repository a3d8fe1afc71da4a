//! The projection on real directories (spec §2.1, §13.1; ha.md I5): the tree that it makes, and when.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests; a failure is a failed test")]

mod bench;
mod reconcile;
mod trouble;

use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::Timestamp;
use hellojohn_raft::project::{ProjectionStatus, Projector, ProjectorSettings, has_foreign_files};
use tokio::sync::watch;
use tokio::time::timeout;

use self::bench::{
    NEVER, Node, PATIENCE, Plane, SMALL, delete_client, delete_tenant, files, projected, put_client,
    put_path_tenant, put_tenant, small, tree,
};

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
