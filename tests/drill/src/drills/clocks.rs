//! F18: the clocks of the nodes are hours apart.

use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::crashes::BREATH;
use crate::cluster::PATIENCE;
use crate::net::NODES;
use crate::run::{Run, Setup};

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// Longer than any two clocks are apart: a leader whose clock is ahead ends a grace by so much sooner.
const GRACE: u64 = 8 * 3600;

/// The clock of the first node is two hours ahead, that of the second two hours behind.
pub(super) fn apart(setup: &mut Setup) -> Result<(), String> {
    let library = LIBRARIES
        .into_iter()
        .find(|path| Path::new(path).exists())
        .ok_or("libfaketime is not installed (package libfaketime)")?;
    // Certificates are valid from the moment they are made, which a clock that is behind has not reached.
    let yesterday = [("LD_PRELOAD", library), ("FAKETIME", "-86400")];
    setup.settings.making_certificates =
        yesterday.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for (node, offset) in [(0, "+7200"), (1, "-7200")] {
        setup.settings.set_own(node, "LD_PRELOAD", library);
        setup.settings.set_own(node, "FAKETIME", offset);
        // Only the time of day: a node measures its time-outs by the other clock.
        setup.settings.set_own(node, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
        setup.settings.set_own(node, "DONT_FAKE_MONOTONIC", "1");
    }
    Ok(())
}

/// Raft is unmoved, and the states of keys are the same everywhere, whoever leads.
pub(super) fn unmoved(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        sleep(Duration::from_secs(10)).await;
        let elections = run.elections();
        run.expect(elections == 0, &format!("no election by clocks, not {elections}"));
        let leader = run.leader().await?;
        let status = run.cluster.directory.send(leader, Method::GET, "/readyz", &[], None).await;
        let status = status.map_err(|silence| format!("/readyz of node{}: {silence:?}", leader + 1))?.json();
        let peers = status.pointer("/cluster/raft/peers").and_then(Value::as_array).cloned();
        let ahead: Vec<i64> =
            peers.iter().flatten().filter_map(|peer| peer.get("clock_ahead_ms")?.as_i64()).collect();
        run.note(format!("the leader finds its peers' clocks ahead by {ahead:?} ms"));
        run.expect(
            ahead.iter().any(|ahead| ahead.abs() > 3_600_000),
            &format!("a leader says that its peers' clocks are hours off, not {ahead:?} ms"),
        );
        for _ in 0..NODES {
            let leader = run.leader().await?;
            let path = "/v1/admin/keys/rotate";
            let body = json!({ "graceSeconds": GRACE });
            let answer = run
                .cluster
                .directory
                .send(leader, Method::POST, path, &[], Some(&body))
                .await
                .map_err(|silence| format!("a rotation at node{}: {silence:?}", leader + 1))?;
            let said = answer.json();
            let state = said.get("state").and_then(Value::as_str).unwrap_or_default();
            run.expect(
                answer.status == 200 && state == "active",
                &format!("a rotation at node{}, not {} {state}", leader + 1, answer.status),
            );
            run.load.flows(30).await?;
            run.cluster.kill9(leader).await?;
            run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
            run.cluster.start_node(leader)?;
            run.cluster.healthy().await?;
        }
        sleep(BREATH).await;
        Ok(())
    }
    .boxed_local()
}
