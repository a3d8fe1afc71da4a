//! F23: a request that is no PUT loses its answer in a failover, and is repeated under its Idempotency-Key.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::PATIENCE;
use crate::cluster::directory::Answer;
use crate::dice::Dice;
use crate::observer::PLANTED;
use crate::run::Run;
use crate::waiting::until;

const ROUNDS: u64 = 8;
const CALL: Duration = Duration::from_secs(5);

fn client() -> String {
    format!("/v1/admin/tenants/{PLANTED}/clients/backend")
}

/// Each rotation of a secret happens once, and every answer shows the same secret.
pub(super) fn across_a_failover(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let mut dice = Dice::new(23);
        let mut lost = 0;
        let first = version(run).await?;
        for round in 0..ROUNDS {
            let leader = run.leader().await?;
            let key = format!("drill-{round}");
            let (directory, sent) = (Arc::clone(&run.cluster.directory), key.clone());
            let call = tokio::spawn(async move {
                let path = format!("{}/secret", client());
                let header = [("idempotency-key", sent)];
                directory.send_within(CALL, leader, Method::POST, &path, &header, Some(&json!({}))).await
            });
            // From before the request arrives until after it was answered.
            sleep(Duration::from_millis(dice.between(0, 40))).await;
            run.cluster.kill9(leader).await?;
            let before = call.await.ok().and_then(Result::ok);
            lost += u64::from(before.is_none());
            run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
            let after = repeated(run, &key).await?;
            let again = repeated(run, &key).await?;
            let before = before.filter(|answer| answer.status == 200);
            for answer in before.iter().chain([&again]) {
                run.expect(
                    secret(answer) == secret(&after),
                    &format!("round {round}: the same secret in every answer"),
                );
            }
            run.expect(
                again.header("idempotency-replayed") == Some("true"),
                &format!("round {round}: a repetition says that it is one"),
            );
            let now = version(run).await?;
            run.expect(
                now == first + round + 1,
                &format!("round {round}: one rotation a round, but version {now} from {first}"),
            );
            run.cluster.start_node(leader)?;
            run.cluster.healthy().await?;
        }
        run.note(format!("{ROUNDS} rotations repeated, {lost} of them had no answer before"));
        Ok(())
    }
    .boxed_local()
}

fn secret(answer: &Answer) -> Option<String> {
    answer.json().get("client_secret").and_then(Value::as_str).map(str::to_owned)
}

/// Repeats the request at whoever leads until it is answered.
async fn repeated(run: &Run, key: &str) -> Result<Answer, String> {
    let mut last = String::new();
    let header = [("idempotency-key", key.to_owned())];
    until(&format!("an answer to the repetition of {key}"), PATIENCE, async || {
        let leader = run.cluster.leader(PATIENCE).await.ok()?;
        let path = format!("{}/secret", client());
        let directory = &run.cluster.directory;
        let answer =
            directory.send_within(CALL, leader, Method::POST, &path, &header, Some(&json!({}))).await.ok()?;
        last = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
        (answer.status == 200).then_some(answer)
    })
    .await
    .map_err(|error| format!("{error}; last {last}"))
}

/// How often the client was changed.
async fn version(run: &Run) -> Result<u64, String> {
    let leader = run.leader().await?;
    let path = format!("{}?consistency=linearizable", client());
    let answer = run.cluster.directory.send_within(CALL, leader, Method::GET, &path, &[], None).await;
    let answer = answer.map_err(|silence| format!("the client cannot be read: {silence:?}"))?;
    answer.number("etag").ok_or_else(|| format!("the client has no ETag: {}", answer.status))
}
