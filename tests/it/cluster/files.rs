//! The files of the nodes: the same bytes everywhere, repaired when damaged (spec §2.1, §13.1).

use serde_json::json;

use super::{everywhere, with_acme};
use crate::harness::cluster::{NAMES, tree};
use crate::harness::process::pause;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trees_of_all_nodes_are_byte_identical_after_every_write() {
    let (cluster, token) = with_acme().await;
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    let writes = [
        (
            "/v1/admin/tenants/acme",
            json!({"settings": {"issuerMode": "path", "branding": {"displayName": "no"}}}),
        ),
        ("/v1/admin/tenants/acme/scopes?mode=merge", json!({"scopes": [{"name": "api:read"}]})),
        ("/v1/admin/tenants/acme/clients/web", json!({"scopes": ["openid", "api:read"]})),
        ("/v1/admin/tenants/other", json!({"name": "1e3"})),
    ];
    for (path, body) in writes {
        let answer = leader.put(path, body).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        let index: u64 = answer.header("x-applied-index").unwrap().parse().unwrap();
        let mut trees = Vec::new();
        for name in NAMES {
            cluster.projected(name, index).await;
            trees.push(tree(&cluster.root(name)));
        }
        assert_eq!(trees[0], trees[1], "{path}");
        assert_eq!(trees[1], trees[2], "{path}");
    }
    let files = tree(&cluster.root("node1"));
    for wanted in ["tenants/acme/tenant.yaml", "tenants/acme/scopes.yaml", "tenants/acme/clients/web.yaml"] {
        assert!(files.contains_key(wanted), "{wanted} not in {:?}", files.keys());
    }
    assert!(files.keys().any(|name| name.starts_with("keys/acme/")));
    assert!(files.keys().any(|name| name.starts_with("keys/_global/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_and_damaged_files_are_repaired_and_foreign_ones_quarantined() {
    let (cluster, _) = with_acme().await;
    let root = cluster.root("node2");
    let before = tree(&root);
    std::fs::remove_dir_all(root.join("tenants/acme/clients")).unwrap();
    std::fs::write(root.join("tenants/acme/tenant.yaml"), "name: hacked\n").unwrap();
    std::fs::create_dir_all(root.join("tenants/ghost")).unwrap();
    std::fs::write(root.join("tenants/ghost/tenant.yaml"), "slug: ghost\n").unwrap();
    let deadline = std::time::Instant::now() + crate::harness::cluster::PATIENCE;
    while tree(&root) != before {
        assert!(std::time::Instant::now() < deadline, "not repaired: {:?}", tree(&root).keys());
        pause();
    }
    let mut kept = std::collections::BTreeMap::new();
    crate::harness::cluster::walk(&root, &root.join("quarantine"), &mut kept);
    assert!(kept.keys().any(|name| name.ends_with("tenants/ghost/tenant.yaml")), "{:?}", kept.keys());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_written_shows_as_fs_degraded_and_heals() {
    let (cluster, token) = with_acme().await;
    let root = cluster.root("node3");
    let (tenants, aside) = (root.join("tenants"), root.join("aside"));
    std::fs::rename(&tenants, &aside).unwrap();
    // What stands in the way would be moved to the quarantine, so that has to be in the way too.
    let quarantine = root.join("quarantine");
    std::fs::write(&quarantine, "in the way").unwrap();
    std::fs::write(&tenants, "in the way").unwrap();
    let index = cluster.put_tenant(&token, "while-degraded").await;
    everywhere(&cluster, index).await;
    cluster.until("node3", "degraded", |answer| answer.json()["fs_degraded"] == true).await;
    cluster.readyz("node3").await.unwrap().expect(200);
    std::fs::remove_file(&tenants).unwrap();
    std::fs::remove_file(&quarantine).unwrap();
    std::fs::rename(&aside, &tenants).unwrap();
    cluster.until("node3", "well again", |answer| answer.json()["fs_degraded"] == false).await;
    for name in NAMES {
        cluster.projected(name, index).await;
    }
    assert_eq!(tree(&root), tree(&cluster.root("node1")));
}
