//! I2: every acknowledged write is readable on every node.

use crate::cluster::directory::Directory;
use crate::history::{Action, Operation, Outcome};
use crate::net::NODES;
use reqwest::Method;
use serde_json::Value;

/// Numbers of the clients that the reads at the end are put down to.
const FINAL: usize = 1_000;

/// What the nodes show in the end.
#[derive(Debug, Default)]
pub struct Final {
    /// A read of each register at each node, to be added to the history.
    pub reads: Vec<Operation>,
    /// Acknowledged writes that a node lacks.
    pub lost: usize,
    /// The same in words, and what else is wrong.
    pub violations: Vec<String>,
}

/// Reads every register at every node, not older than `index`.
pub async fn read_all(
    directory: &Directory,
    operations: &[Operation],
    keys: &[String],
    index: u64,
    now: impl Fn() -> u64,
) -> Final {
    let mut all = Final::default();
    for key in keys {
        for node in 0..NODES {
            let start = now();
            match read(directory, node, key, index).await {
                Ok((value, revision)) => {
                    let outcome = Outcome::Done { end: now(), revision };
                    let action = Action::Read(value);
                    all.reads.push(Operation {
                        client: FINAL + node,
                        key: key.clone(),
                        action,
                        start,
                        outcome,
                    });
                    let missing = missing(operations, key, revision.unwrap_or(0));
                    if missing > 0 {
                        all.lost += missing;
                        all.violations.push(format!(
                            "I2: node{} shows {key} at revision {revision:?}; {missing} writes with a higher one were \
                             acknowledged",
                            node + 1
                        ));
                    }
                }
                Err(why) => all.violations.push(format!("I2: node{} cannot read {key}: {why}", node + 1)),
            }
        }
    }
    all
}

/// Acknowledged writes above this revision.
fn missing(operations: &[Operation], key: &str, revision: u64) -> usize {
    let of_key = operations.iter().filter(|operation| operation.key == key);
    of_key.filter(|o| o.is_acknowledged_write() && o.revision() > Some(revision)).count()
}

async fn read(
    directory: &Directory,
    node: usize,
    key: &str,
    index: u64,
) -> Result<(Option<u64>, Option<u64>), String> {
    let wanted = [("x-min-index", index.to_string())];
    let path = format!("/v1/admin/tenants/{key}");
    let answer = directory
        .send(node, Method::GET, &path, &wanted, None)
        .await
        .map_err(|silence| format!("no answer ({silence:?})"))?;
    match answer.status {
        200 => {
            let body = answer.json();
            let value = body.get("name").and_then(Value::as_str).and_then(|name| name.parse().ok());
            Ok((value, answer.number("etag")))
        }
        404 => Ok((None, None)),
        status => Err(format!("{status} {}", answer.code())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_writes_above_what_a_node_shows_are_missing() {
        let write = |value, outcome| Operation {
            client: 1,
            key: "k".to_owned(),
            action: Action::Write(value),
            start: 0,
            outcome,
        };
        let done = |revision| Outcome::Done { end: 1, revision: Some(revision) };
        let operations =
            [write(1, done(1)), write(2, done(2)), write(3, Outcome::Unknown), write(4, done(4))];
        assert_eq!(missing(&operations, "k", 4), 0);
        assert_eq!(missing(&operations, "k", 1), 2);
        assert_eq!(missing(&operations, "k", 0), 3);
        assert_eq!(missing(&operations, "other", 0), 0);
    }
}
