//! What a node answers to its peers: Raft's messages, and the questions of nodes that want to form a cluster.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};

use crate::alive::{Alive, AliveAnswer};
use crate::bootstrap::messages::{AppliedIndex, JoinRequest, Probe, PromiseAnswer, PromiseRequest};
use crate::handover::{self, Stand};
use crate::membership;
use crate::network::raft_network::dispatch;
use crate::network::{Hello, PeerHandler, Refusal, RpcFailure, RpcKind, decode_json, encode_json};
use crate::newer;
use crate::prevote::{self, PreVote};
use crate::read_index;
use crate::shared::Shared;
use crate::status;

/// How long a promise waits for Raft to start. Well below what the former gives it for an answer.
const START: Duration = Duration::from_millis(500);
/// How often to look whether it has.
const START_LOOK: Duration = Duration::from_millis(5);

/// Answers peers on behalf of a node.
pub(crate) struct Peers(pub(crate) Arc<Shared>);

impl PeerHandler for Peers {
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        if !self.0.settings.is_peer(&peer.from) {
            return Err(Refusal::NotMember { name: peer.from.clone() });
        }
        self.keep(peer)
    }

    fn keep(&self, peer: &Hello) -> Result<(), Refusal> {
        let Some(raft_id) = peer.raft_id else { return Ok(()) };
        if let Some(acknowledged) = self.0.reverted.recently(raft_id) {
            return Err(Refusal::Reverted { name: peer.from.clone(), raft_id, acknowledged });
        }
        match membership::superseded(&self.0.views, &peer.from, raft_id) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn call<'a>(
        &'a self,
        peer: &'a Hello,
        kind: RpcKind,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, RpcFailure>> {
        Box::pin(async move {
            // A sign of life says that a process is there, not that its node works.
            if kind != RpcKind::Alive {
                self.0.contacts.heard(&peer.from);
            }
            match kind {
                RpcKind::Append | RpcKind::Vote | RpcKind::InstallSnapshot => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    let answer = dispatch(&running.raft, kind, payload.clone()).await;
                    if matches!((kind, &answer), (RpcKind::Append, Err(RpcFailure::BadRequest { .. })))
                        && let Some(unknown) = newer::unknown_entry(&payload)
                    {
                        self.0.fail(format!("{} sends what this node cannot follow: {unknown}", peer.from));
                    }
                    answer
                }
                RpcKind::Probe => {
                    let _asked: Probe = decode_json(&payload)?;
                    encode_json(&self.0.probe())
                }
                RpcKind::Promise => {
                    let request: PromiseRequest = decode_json(&payload)?;
                    encode_json(&self.promise(peer, request).await)
                }
                RpcKind::PreVote => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    let question: PreVote = decode_json(&payload)?;
                    let answer = prevote::answer(
                        &running,
                        &peer.from,
                        &question,
                        self.0.settings.timers,
                        &self.0.dialer,
                    )
                    .await?;
                    encode_json(&answer)
                }
                RpcKind::Alive => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    let sign: Alive = decode_json(&payload)?;
                    running.last_sign.note(&running.raft.metrics().borrow(), &peer.from, &sign);
                    encode_json(&AliveAnswer { now: Some(self.0.settings.now.now()) })
                }
                RpcKind::Join => {
                    let request: JoinRequest = decode_json(&payload)?;
                    encode_json(&membership::welcome(&self.0, peer, request).await)
                }
                RpcKind::Stand => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    let call: Stand = decode_json(&payload)?;
                    encode_json(&handover::stand(&running, &peer.from, &call).await)
                }
                RpcKind::Forward => match self.0.forwarded.get() {
                    Some(handler) => handler.answer(&peer.from, payload).await,
                    None => Err(not_running()),
                },
                RpcKind::ReadIndex => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    encode_json(&read_index::answer(&self.0, &running).await)
                }
                RpcKind::TurnDown => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    let refusal: Refusal = decode_json(&payload)?;
                    let leader = status::leader_name(&running.raft.metrics().borrow());
                    if leader.as_deref() == Some(peer.from.as_str()) {
                        self.0.local.turned_down(&refusal);
                    }
                    encode_json(&())
                }
                RpcKind::AppliedIndex => {
                    let running = self.0.running.load_full().ok_or_else(not_running)?;
                    encode_json(&AppliedIndex { index: running.view().applied_index() })
                }
            }
        })
    }
}

fn not_running() -> RpcFailure {
    RpcFailure::Unavailable { detail: "this node has not joined a cluster yet".to_owned() }
}

impl Peers {
    async fn promise(&self, peer: &Hello, request: PromiseRequest) -> PromiseAnswer {
        let refused = |reason: String| PromiseAnswer::Refused { reason };
        if request.former != peer.from {
            return refused(format!("{} asks on behalf of {}", peer.from, request.former));
        }
        if let Some(difference) = crate::bootstrap::rule::differs(&self.0.probe(), &request.probe) {
            return refused(difference);
        }
        let names: Vec<String> = request.members.keys().cloned().collect();
        if names != self.0.settings.names() {
            return refused("the founders are not the nodes of CLUSTER_NODES".to_owned());
        }
        match self.0.promise(request).await {
            Ok(()) => {
                self.raft_runs().await;
                PromiseAnswer::Promised
            }
            Err(reason) => refused(reason),
        }
    }

    /// Waits a moment for Raft to start: the former stands for election as soon as it has all promises, and would
    /// lose its first election.
    async fn raft_runs(&self) {
        let running = async {
            while self.0.running.load().is_none() {
                sleep(START_LOOK).await;
            }
        };
        let _in_time = timeout(START, running).await;
    }
}
