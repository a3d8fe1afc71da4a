//! F24: the leader is killed while it rotates a key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::PATIENCE;
use crate::dice::Dice;
use crate::invariants::sameness::tree;
use crate::run::Run;
use crate::waiting::until;

const ROUNDS: u64 = 5;

/// In the end each algorithm has one key that signs, on every node.
pub(super) fn killed(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let mut dice = Dice::new(24);
        let mut kids = kids(run).await?;
        for _ in 0..ROUNDS {
            let leader = run.leader().await?;
            let directory = Arc::clone(&run.cluster.directory);
            let rotation = tokio::spawn(async move {
                let body = json!({ "graceSeconds": 3600 });
                directory.send(leader, Method::POST, "/v1/admin/keys/rotate", &[], Some(&body)).await
            });
            // From before the key is made until after it signs.
            sleep(Duration::from_millis(dice.between(0, 60))).await;
            run.cluster.kill9(leader).await?;
            // However it was answered: the files tell what became of it. The client gives up by itself.
            let _answer = rotation.await;
            run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
            run.cluster.start_node(leader)?;
            run.cluster.healthy().await?;
            let root = run.cluster.root(leader);
            let settled =
                until("one key that signs, of each algorithm", Duration::from_secs(30), async || {
                    let states = states(&tree(&root));
                    let one_signs = |states: &BTreeMap<String, usize>| {
                        states.get("active") == Some(&1) && !states.contains_key("next")
                    };
                    (!states.is_empty() && states.values().all(one_signs)).then_some(())
                })
                .await;
            if let Err(why) = settled {
                let found = states(&tree(&run.cluster.root(leader)));
                run.expect(false, &format!("{why}; found {found:?}"));
            }
            let now = self::kids(run).await?;
            let gone: Vec<&String> = kids.difference(&now).collect();
            run.expect(gone.is_empty(), &format!("every key stays for its grace; gone: {gone:?}"));
            kids = now;
        }
        run.note(format!("{} keys in the key set", kids.len()));
        Ok(())
    }
    .boxed_local()
}

/// The keys that whoever leads publishes.
async fn kids(run: &Run) -> Result<BTreeSet<String>, String> {
    let leader = run.leader().await?;
    let answer = run.cluster.directory.get(leader, "/.well-known/jwks.json").await.ok_or("no key set")?;
    let body = answer.json();
    let keys = body.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let kid = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
    Ok(keys.iter().filter_map(kid).collect())
}

/// How many keys of the whole are in which state, by algorithm.
fn states(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut found: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (_, bytes) in files.iter().filter(|(name, _)| name.starts_with("keys/_global/")) {
        let text = String::from_utf8_lossy(bytes);
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim().to_owned())
        };
        if let (Some(alg), Some(state)) = (field("alg"), field("state")) {
            *found.entry(alg).or_default().entry(state).or_default() += 1;
        }
    }
    found
}
