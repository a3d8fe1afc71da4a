//! F22: two of three disks are gone and come back empty, told to form a cluster.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::sleep;

use crate::net::NODES;
use crate::run::Run;

/// They wait and say why; no second cluster. Then their disks are found again.
pub(super) fn two(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        let wiped = [(leader + 1) % NODES, (leader + 2) % NODES];
        let before = cluster_id(run, leader).await;
        for node in wiped {
            run.cluster.kill9(node).await?;
        }
        for node in wiped {
            let root = run.cluster.root(node);
            let kept = root.with_extension("kept");
            std::fs::rename(&root, &kept).map_err(|error| format!("{}: {error}", root.display()))?;
            std::fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
            run.cluster.settings_mut().set_own(node, "CLUSTER_BOOTSTRAP", "1");
            run.cluster.start_node(node)?;
        }
        sleep(Duration::from_secs(10)).await;
        for node in wiped {
            let status = run.cluster.directory.status(node).await.ok_or("a wiped node does not answer")?;
            run.expect(!status.ready, "a wiped node is not ready");
            run.expect(status.cluster_id.is_none(), "a wiped node forms no cluster");
            run.expect(!status.leads && status.leader.is_none(), "a wiped node has no leader");
            let why = status.waiting.unwrap_or_default();
            run.expect(!why.is_empty(), "a wiped node says what it waits for");
            run.note(format!("node{} says: {why}", node + 1));
        }
        for node in wiped {
            run.cluster.kill9(node).await?;
            let root = run.cluster.root(node);
            let failed = |error: std::io::Error| format!("{}: {error}", root.display());
            std::fs::remove_dir_all(&root).map_err(failed)?;
            std::fs::rename(root.with_extension("kept"), &root).map_err(failed)?;
            run.cluster.settings_mut().set_own(node, "CLUSTER_BOOTSTRAP", "0");
            run.cluster.start_node(node)?;
        }
        run.cluster.healthy().await?;
        for node in 0..NODES {
            let now = cluster_id(run, node).await;
            run.expect(now.is_some() && now == before, &format!("one cluster: {before:?}, not {now:?}"));
        }
        Ok(())
    }
    .boxed_local()
}

async fn cluster_id(run: &Run, node: usize) -> Option<String> {
    run.cluster.directory.status(node).await?.cluster_id
}
