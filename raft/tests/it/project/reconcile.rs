//! Files that someone else changed, damaged, removed or planted (spec §13.1, S105, F12).

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_raft::project::has_foreign_files;

use super::bench::{
    Node, Plane, delete_client, global_keys, projected, put_client, put_tenant, quarantined, reference,
    small, tree,
};

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
    // In one step: a scan may come at any time, and puts back what was removed first.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(temp.path().join("tenants/acme"), elsewhere.path().join("acme")).unwrap();
    fs::write(temp.path().join("keys/_global/global-1.yaml"), "kid: forged\n").unwrap();
    node.until("repairs", |status| status.repairs >= 5).await;
    assert_eq!(projected(temp.path()), right);
    node.stop().await;
}

#[tokio::test]
async fn scans_of_right_files_write_nothing() {
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
