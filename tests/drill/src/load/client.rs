//! One client: it writes to whoever leads, reads, and never repeats a number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::sessions::CONNECTION_ENDED;
use super::{Plan, Shared};
use crate::cluster::directory::{Answer, Silence};
use crate::dice::Dice;
use crate::history::{Action, Operation, Outcome};
use crate::net::NODES;

/// Of 100 calls so many are writes.
const WRITES: u64 = 60;
/// Pause after a call that came to nothing.
const BACK_OFF: Duration = Duration::from_millis(10);

pub(super) struct Client {
    number: usize,
    shared: Arc<Shared>,
    dice: Dice,
    /// Who leads, as far as this client knows.
    leader: usize,
    plan: Plan,
    /// Index and revision of the last acknowledged write to each register.
    known: BTreeMap<String, (u64, u64)>,
}

impl Client {
    pub(super) fn new(number: usize, shared: Arc<Shared>, dice: Dice, leader: usize, plan: Plan) -> Self {
        Self { number, shared, dice, leader, plan, known: BTreeMap::new() }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let place = self.dice.below(u64::try_from(self.shared.keys.len()).unwrap_or(1));
            let key = usize::try_from(place).ok().and_then(|place| self.shared.keys.get(place)).cloned();
            let key = key.unwrap_or_default();
            if self.dice.chance(WRITES) {
                self.write(key).await;
            } else if self.shared.reads_linearizably && self.dice.chance(60) {
                self.read(key).await;
            } else {
                self.read_own(key).await;
            }
            sleep(self.plan.pause).await;
        }
    }

    async fn write(&mut self, key: String) {
        let value = self.shared.fresh_value();
        let (node, process) = (self.leader, self.shared.directory.starts(self.leader));
        let start = self.shared.recorder.now();
        let body = json!({ "name": value.to_string() });
        let answer = self.send(node, Method::PUT, &path(&key), &[], Some(&body)).await;
        let end = self.shared.recorder.now();
        let outcome = match answer {
            Ok(answer) => {
                self.note(node, process, &answer);
                self.judge(&key, end, &answer)
            }
            Err(Silence::NotSent) => Outcome::Refused,
            Err(silence @ (Silence::Lost | Silence::TimedOut)) => {
                self.shared.sessions.unknown(match silence {
                    Silence::TimedOut => "no answer in time",
                    Silence::Lost | Silence::NotSent => CONNECTION_ENDED,
                });
                Outcome::Unknown
            }
        };
        self.shared.recorder.record(Operation {
            client: self.number,
            key,
            action: Action::Write(value),
            start,
            outcome,
        });
        if !matches!(outcome, Outcome::Done { .. }) {
            if self.leader == node {
                self.leader = (node + 1) % NODES;
            }
            sleep(BACK_OFF).await;
        }
    }

    async fn send(
        &self,
        node: usize,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Answer, Silence> {
        self.shared.directory.send_within(self.plan.patience, node, method, path, headers, body).await
    }

    /// What an answer to a write means.
    fn judge(&mut self, key: &str, end: u64, answer: &Answer) -> Outcome {
        match (answer.status, answer.code().as_str()) {
            (200 | 201, _) => {
                let (index, revision) = (answer.number("x-applied-index"), answer.number("etag"));
                if let (Some(index), Some(revision)) = (index, revision) {
                    self.known.insert(key.to_owned(), (index, revision));
                } else {
                    self.shared.sessions.violation(format!(
                        "a write of {key} was acknowledged without ETag or X-Applied-Index"
                    ));
                }
                Outcome::Done { end, revision }
            }
            (409, "follower_conflict") => {
                let leader = answer.header("x-leader-url").and_then(|url| self.shared.directory.node_at(url));
                self.leader = leader.unwrap_or(self.leader);
                Outcome::Refused
            }
            (503, "no_leader" | "cluster_not_formed") => Outcome::Refused,
            (503 | 500, code) => {
                self.shared.sessions.unknown(code);
                Outcome::Unknown
            }
            (status, code) => {
                self.shared.sessions.violation(format!(
                    "a write of {key} was answered {status} {code}, which no fault explains"
                ));
                Outcome::Unknown
            }
        }
    }

    /// A read for the history, at any node.
    async fn read(&mut self, key: String) {
        let node = self.anybody();
        let process = self.shared.directory.starts(node);
        let start = self.shared.recorder.now();
        let path = format!("{}?consistency=linearizable", path(&key));
        let answer = self.send(node, Method::GET, &path, &[], None).await;
        let end = self.shared.recorder.now();
        let Ok(answer) = answer else { return };
        self.note(node, process, &answer);
        let Some((value, revision)) = content(&answer) else { return };
        self.shared.recorder.record(Operation {
            client: self.number,
            key,
            action: Action::Read(value),
            start,
            outcome: Outcome::Done { end, revision },
        });
    }

    /// A read at any node that asks for what this client wrote last.
    async fn read_own(&mut self, key: String) {
        let Some((index, revision)) = self.known.get(&key).copied() else { return };
        let node = self.anybody();
        let process = self.shared.directory.starts(node);
        let wanted = [("x-min-index", index.to_string())];
        self.shared.session_reads.fetch_add(1, Ordering::Relaxed);
        let answer = self.send(node, Method::GET, &path(&key), &wanted, None).await;
        let Ok(answer) = answer else { return };
        self.note(node, process, &answer);
        let Some((_, found)) = content(&answer) else { return };
        if found < Some(revision) {
            self.shared.sessions.violation(format!(
                "I2: client {} was acknowledged revision {revision} of {key} at index {index}, and node{} showed it \
                 revision {found:?} at that index",
                self.number,
                node + 1
            ));
        }
    }

    fn anybody(&mut self) -> usize {
        usize::try_from(self.dice.below(u64::try_from(NODES).unwrap_or(1))).unwrap_or(0)
    }

    fn note(&self, node: usize, process: u64, answer: &Answer) {
        // Of a process that was replaced meanwhile it is not known which one answered.
        if process != self.shared.directory.starts(node) {
            return;
        }
        if let Some(index) = answer.number("x-applied-index") {
            self.shared.sessions.saw(self.number, node, process, index);
        }
    }
}

/// Path of a register.
fn path(key: &str) -> String {
    format!("/v1/admin/tenants/{key}")
}

/// Number and revision that a read shows; none where the answer is not about the register.
fn content(answer: &Answer) -> Option<(Option<u64>, Option<u64>)> {
    match answer.status {
        200 => {
            let name = answer.json().get("name").and_then(Value::as_str).and_then(|name| name.parse().ok());
            name.map(|name| (Some(name), answer.number("etag")))
        }
        404 if answer.code() == "tenant_not_found" => Some((None, None)),
        _ => None,
    }
}
