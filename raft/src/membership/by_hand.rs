//! What an operator may ask for now, and how the members stand (spec §3.2).

use std::collections::BTreeSet;
use std::time::Duration;

use hellojohn_control::{MemberIdentity, MemberRole};
use serde::Serialize;

use super::due::caught_up;
use super::{ANSWER, joined, quorum_answers};
use crate::bootstrap::messages::Probe;
use crate::network::RpcKind;
use crate::node::Node;
use crate::types::Metrics;

/// Why a change of the members is not begun. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberRefusal {
    /// Nobody would find the node.
    #[error("{0}")]
    Unreachable(String),
    /// The node is not as far as it must be.
    #[error("{0}")]
    NotReady(String),
    /// It is the leader itself.
    #[error("{0} leads the cluster; hand over first with `hellojohn cluster step-down`")]
    Leads(String),
    /// Too few of the others are there.
    #[error("{0}")]
    QuorumAtRisk(String),
}

/// A member, as the node that was asked knows it.
#[derive(Debug, Clone, Serialize)]
pub struct MemberStatus {
    /// `NODE_ID`.
    pub name: String,
    /// Its Raft id; none while it has not come.
    pub raft_id: Option<u64>,
    /// Counts up each time it came with an empty disk.
    pub incarnation: u64,
    /// What it is to be.
    pub role: MemberRole,
    /// What it is: `expected` (it has not come), `joining`, `learner`, `voter`, or `leaving`.
    pub state: &'static str,
    /// Its address, as the node that was asked is configured.
    pub addr: Option<String>,
}

impl Node {
    /// The members, and those that are on their way out, by name.
    pub fn members(&self) -> Vec<MemberStatus> {
        let Some(running) = self.shared.running.load_full() else { return Vec::new() };
        let view = running.view();
        let Some(formation) = view.formation() else { return Vec::new() };
        let metrics = running.metrics();
        let addr = |name: &str| self.shared.settings.address(name);
        let mut members: Vec<MemberStatus> = formation
            .members
            .iter()
            .map(|(name, member)| MemberStatus {
                name: name.clone(),
                raft_id: member.raft_id,
                incarnation: member.incarnation,
                role: member.role,
                state: state(&metrics, name, member.raft_id),
                addr: addr(name),
            })
            .collect();
        let membership = metrics.membership_config.membership();
        let leaving = membership.nodes().filter(|(_, node)| !formation.members.contains_key(&node.name));
        members.extend(leaving.map(|(raft_id, node)| MemberStatus {
            name: node.name.clone(),
            raft_id: Some(*raft_id),
            incarnation: 0,
            role: MemberRole::Learner,
            state: "leaving",
            addr: addr(&node.name),
        }));
        members
    }

    /// Whether a node of this name could come: everybody that answers must know its address.
    ///
    /// # Errors
    /// [`MemberRefusal::Unreachable`] says on which node what is missing.
    pub async fn may_add(&self, name: &str) -> Result<(), MemberRefusal> {
        let settings = &self.shared.settings;
        if settings.address(name).is_none() {
            return Err(MemberRefusal::Unreachable(format!(
                "{name} is not in CLUSTER_NODES of {}; add it there on every node, and restart them one after the other",
                settings.name
            )));
        }
        let own = self.shared.probe();
        for peer in settings.peers().into_iter().filter(|peer| peer != name) {
            let client = self.shared.dialer.client(&peer);
            match client.call_json::<_, Probe>(RpcKind::Probe, &own, ANSWER).await {
                Ok(probe) if probe.nodes_hash != own.nodes_hash => {
                    return Err(MemberRefusal::Unreachable(format!(
                        "CLUSTER_NODES of {peer} differs from that of {}; make them the same on every node first",
                        settings.name
                    )));
                }
                Ok(_) => {}
                Err(error) => tracing::info!(peer, %error, "its CLUSTER_NODES could not be compared"),
            }
        }
        Ok(())
    }

    /// Whether this learner may become a voter now.
    ///
    /// # Errors
    /// [`MemberRefusal::NotReady`] says what is missing.
    pub async fn may_promote(&self, name: &str) -> Result<(), MemberRefusal> {
        let not_ready = |why: String| MemberRefusal::NotReady(why);
        let Some(running) = self.shared.running.load_full() else {
            return Err(not_ready("this node has not joined a cluster yet".to_owned()));
        };
        let view = running.view();
        let member = view.formation().and_then(|formation| formation.members.get(name).copied());
        // Whoever is no member, or has not come, is refused by the command itself.
        let Some(raft_id) = member.and_then(|member| member.raft_id) else { return Ok(()) };
        let metrics = running.metrics();
        if is_voter(&metrics, raft_id) {
            return Ok(());
        }
        joined(&self.shared, name, raft_id).await.map_err(not_ready)?;
        if !caught_up(&metrics, raft_id) {
            return Err(not_ready(format!("{name} still lacks too much of the log; ask again in a moment")));
        }
        Ok(())
    }

    /// Whether the cluster could do without this member now: it is not the leader, nobody else is leaving, and a majority
    /// of the voters that would remain answers.
    ///
    /// # Errors
    /// [`MemberRefusal::Leads`], [`MemberRefusal::NotReady`], [`MemberRefusal::QuorumAtRisk`].
    pub async fn may_remove(&self, name: &str) -> Result<(), MemberRefusal> {
        let Some(running) = self.shared.running.load_full() else { return Ok(()) };
        if name == self.shared.settings.name {
            return Err(MemberRefusal::Leads(name.to_owned()));
        }
        let view = running.view();
        let Some(formation) = view.formation() else { return Ok(()) };
        let metrics = running.metrics();
        let membership = metrics.membership_config.membership();
        let of = |id: &u64| membership.get_node(id).map_or("", |node| node.name.as_str());
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        if !voters.iter().any(|id| of(id) == name) {
            return Ok(());
        }
        // Each removal is judged by itself, so the next has to wait for the one before.
        let leaving =
            voters.iter().map(of).find(|other| *other != name && !formation.members.contains_key(*other));
        if let Some(other) = leaving {
            return Err(MemberRefusal::NotReady(format!(
                "{other} is still leaving; remove one after the other"
            )));
        }
        let remaining: BTreeSet<u64> = voters.iter().copied().filter(|id| of(id) != name).collect();
        quorum_answers(&self.shared, &running, &remaining).await.map_err(MemberRefusal::QuorumAtRisk)
    }

    /// Waits until the Raft membership says of this name what the state says, at most `within`. `false` when it does not
    /// by then; the leader goes on trying.
    pub async fn member_settled(&self, name: &str, within: Duration) -> bool {
        let Some(running) = self.shared.running.load_full() else { return false };
        self.shared.members_asked.notify_one();
        let mut metrics = running.raft.metrics();
        let settled = metrics.wait_for(|metrics| {
            let view = running.view();
            let member = view.formation().and_then(|formation| formation.members.get(name));
            is_settled(metrics, name, member)
        });
        tokio::time::timeout(within, settled).await.is_ok_and(|settled| settled.is_ok())
    }
}

fn is_settled(metrics: &Metrics, name: &str, member: Option<&MemberIdentity>) -> bool {
    let membership = metrics.membership_config.membership();
    if membership.get_joint_config().len() > 1 {
        return false;
    }
    match member {
        None => membership.nodes().all(|(_, node)| node.name != name),
        Some(member) => !member.role.is_voter() || member.raft_id.is_some_and(|id| is_voter(metrics, id)),
    }
}

fn is_voter(metrics: &Metrics, raft_id: u64) -> bool {
    metrics.membership_config.membership().voter_ids().any(|id| id == raft_id)
}

/// What a member is now.
fn state(metrics: &Metrics, name: &str, raft_id: Option<u64>) -> &'static str {
    let membership = metrics.membership_config.membership();
    match raft_id {
        None => "expected",
        Some(id) if is_voter(metrics, id) => "voter",
        // Under the id that it had: it votes, if its old disk is there.
        Some(_) if membership.nodes().any(|(id, node)| node.name == name && is_voter(metrics, *id)) => {
            "joining"
        }
        Some(id) if membership.get_node(&id).is_some() => "learner",
        Some(_) => "joining",
    }
}
