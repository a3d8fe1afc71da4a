//! S113: the account of what administrators did survives the loss of the leader, whole and in order (spec §10).

use hellojohn_control::Slug;
use hellojohn_control::audit::{Head, verify};

use super::everywhere;
use crate::harness::audit_rows::chain;
use crate::harness::cluster::{Cluster, PATIENCE};

/// The metric of a node that has no labels.
async fn gauge(cluster: &Cluster, node: &str, name: &str) -> u64 {
    let body = cluster.api(node).get("/metrics").await.expect(200).body;
    let text = String::from_utf8(body).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    value.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s113_every_write_is_in_the_database_once_and_the_chain_holds_after_a_failover() {
    let mut cluster = Cluster::prepare().await;
    cluster.set("FLAGS_MIGRATE", "true");
    cluster.start_all().await;
    let token = cluster.mint_token();
    let deadline = std::time::Instant::now() + PATIENCE;
    let leader = cluster.leader().await;
    loop {
        let state = cluster.api(leader).bearer(&token).get("/v1/admin/cluster").await.expect(200).json();
        if state["format"].as_u64() >= Some(2) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the cluster keeps no records: {state}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut slugs = Vec::new();
    let mut index = 0;
    for number in 0..10 {
        slugs.push(format!("before-{number}"));
        index = cluster.put_tenant(&token, slugs.last().unwrap()).await;
    }
    cluster.kill9(leader);
    for number in 0..10 {
        slugs.push(format!("after-{number}"));
        index = cluster.put_tenant(&token, slugs.last().unwrap()).await.max(index);
    }
    everywhere(&cluster, index).await;
    cluster.start_node(leader);
    cluster.ready(leader).await;
    everywhere(&cluster, index).await;

    let new = cluster.leader().await;
    let mut connection = cluster.db.as_ref().unwrap().connection().await;
    let records = loop {
        let records = chain(&mut connection).await;
        let last = records.iter().rev().find_map(|record| record.tenant.as_ref()).map(Slug::as_str);
        if last == Some("after-9") && gauge(&cluster, new, "hellojohn_audit_outbox_records").await == 0 {
            break records;
        }
        assert!(std::time::Instant::now() < deadline + PATIENCE, "{records:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let end = verify(Head::default(), &records).unwrap();
    assert_eq!(end.seq, u64::try_from(records.len()).unwrap(), "each once");
    for slug in &slugs {
        // A write whose answer was lost with the leader is asked for again, and that is another record.
        let done = records.iter().filter(|record| record.tenant.as_ref().is_some_and(|t| t.as_str() == slug));
        let done: Vec<_> = done.collect();
        assert!(!done.is_empty() && done.iter().all(|r| r.action == "tenant.put"), "{slug}: {done:?}");
        assert!(done.iter().all(|record| record.ip.is_some() && record.reason.is_none()), "{slug}: {done:?}");
    }
    assert_eq!(gauge(&cluster, new, "hellojohn_audit_outbox_dropped").await, 0);
}
