//! The task that brings a node into a cluster, and keeps what a leader owes a young one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Command, Envelope};
use tokio::time::sleep;
use uuid::Uuid;

use super::joining::{self, As};
use super::messages::{Probe, PromiseAnswer, PromiseRequest};
use super::part::{How, Part};
use super::rule::{Decision, decide};
use crate::alive;
use crate::compaction::{self, Limits};
use crate::election::{self, Elections};
use crate::membership;
use crate::network::raft_network::PeerNetwork;
use crate::network::{Refusal, RpcKind};
use crate::node::Node;
use crate::running::{Place, Running, StartError};
use crate::settings::Mode;
use crate::shared::Shared;
use crate::stage::{Founding, Stage};
use crate::types::Member;

/// How long a peer has to answer a question about the cluster.
const ANSWER: Duration = Duration::from_secs(1);
/// How often to look whether Raft still runs.
const LOOK: Duration = Duration::from_millis(100);
/// How often a waiting node asks again.
const AGAIN: Duration = Duration::from_millis(500);

/// Brings the node into its cluster and then watches over it until the node stops.
pub(crate) async fn run(node: Node) {
    let stop = node.shared.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        ended = live(&node) => {
            if let Err(why) = ended {
                node.shared.fail(why);
            }
        }
    }
}

async fn live(node: &Node) -> Result<(), String> {
    let shared = &node.shared;
    let (part, running) = begin(node).await?;
    let live = async {
        join(node, &running, &part).await?;
        match shared.settings.mode {
            Mode::Single => std::future::pending().await,
            Mode::Embedded(_) => Err(joining::keep_seat(shared, &running).await),
        }
    };
    // From the first moment: a node whose log fails while it waits for the others must say so too.
    tokio::select! {
        failed = watch_storage(&running) => failed,
        why = superseded(shared) => Err(why),
        ended = live => ended,
    }
}

/// Finds a part to take in a cluster, and starts Raft.
async fn begin(node: &Node) -> Result<(Part, Arc<Running>), String> {
    let shared = &node.shared;
    loop {
        let part = agree(shared).await?;
        if part.took_part() {
            // An old disk that is found again must not serve what it knew; those who answer know better.
            ask_peers(shared).await;
            if let Some(why) = shared.local.superseded().borrow().as_ref() {
                return Err(old_disk(why));
            }
        }
        let place = Place { raft_id: part.raft_id, took_part: part.took_part() };
        match run_raft(node, place).await {
            Ok(running) => return Ok((part, running)),
            // It had no vote, so that it has not broken its word: it comes as somebody else.
            Err(StartError::LostLog { .. }) if matches!(part.how, How::Joiner { .. }) => {
                tracing::warn!(
                    raft_id = part.raft_id,
                    "raft/log was lost while this node joined; it asks for a new Raft id"
                );
                shared.give_up_joining().await?;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Resolves when a peer has said that this disk is none of the cluster's any more.
async fn superseded(shared: &Shared) -> String {
    let mut said = shared.local.superseded();
    let why = said.wait_for(Option::is_some).await.ok().and_then(|why| why.as_ref().map(old_disk));
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

fn old_disk(why: &Refusal) -> String {
    format!(
        "this disk is no longer one of the cluster's: {why}. To let the node in again, move its raft/ aside and start it; if \
         it was removed, run `hellojohn cluster members add` with its name besides. See docs/ha.md, \"A node comes back\"."
    )
}

/// From a Raft that runs to a member that shows its files.
async fn join(node: &Node, running: &Running, part: &Part) -> Result<(), String> {
    let shared = &node.shared;
    let founding = part.founding();
    refuse_alone(shared, running, founding).await?;
    if let Some(founding) = founding
        && founding.former == shared.settings.name
    {
        found(shared, running, founding).await?;
    }
    match &part.how {
        How::Founder(_) | How::Member => settle(shared, running, part, 0).await?,
        How::Joiner { .. } => catch_up(shared, running, part).await?,
    }
    running.settle();
    shared.become_member(part.cluster_id, part.raft_id).await?;
    shared.wait_for(None);
    // After a power cut the disk may know fewer entries to be committed than the files already show; shown
    // too early, the state would take newer files for strangers.
    let shown = node.projector.status().projected_index.unwrap_or(0);
    let mut views = shared.views.subscribe();
    views.wait_for(|view| view.applied_index() >= shown).await.map_err(|e| e.to_string())?;
    node.projector.enable();
    Ok(())
}

/// As a node that was let in: receives the log up to where the leader was when it was asked.
async fn catch_up(shared: &Arc<Shared>, running: &Running, part: &Part) -> Result<(), String> {
    let raft_id = part.raft_id;
    let admission = loop {
        match joining::ask(shared, As::Member(raft_id)).await {
            Ok(admission) if admission.raft_id > raft_id => {
                return Err(joining::replaced(raft_id, admission.raft_id));
            }
            Ok(admission) if admission.raft_id == raft_id => break admission,
            // Ids only grow: whoever named an older one is behind.
            Ok(_) => {}
            Err(why) => shared.wait_for(Some(format!("joining as member {raft_id}: {why}"))),
        }
        sleep(AGAIN).await;
    };
    shared.wait_for(Some(joining::receiving(raft_id)));
    tokio::select! {
        settled = settle(shared, running, part, admission.index) => settled,
        why = joining::keep_asking(shared, raft_id) => Err(why),
    }
}

/// Waits until this node has a cluster to belong to.
async fn agree(shared: &Arc<Shared>) -> Result<Part, String> {
    let admission = Uuid::new_v4();
    let mut now = false;
    loop {
        match shared.stage()? {
            Stage::Promised(founding) => {
                let name = &shared.settings.name;
                let raft_id = *founding.members.get(name).ok_or_else(|| format!("{name} is no founder"))?;
                return Ok(Part { cluster_id: founding.cluster_id, raft_id, how: How::Founder(founding) });
            }
            Stage::Joining { cluster_id, raft_id } => {
                return Ok(Part { cluster_id, raft_id, how: How::Joiner { now } });
            }
            Stage::Member { cluster_id, raft_id } => {
                return Ok(Part { cluster_id, raft_id, how: How::Member });
            }
            Stage::Pristine => {}
        }
        let peers = ask_peers(shared).await;
        match decide(&shared.probe(), &peers) {
            Decision::Form => {
                let request = new_cluster(shared);
                shared.promise(request).await?;
                continue;
            }
            Decision::Wait(why) => shared.wait_for(Some(why)),
            Decision::ClusterExists { cluster_id } => match joining::ask(shared, As::Nobody(admission)).await {
                Ok(admitted) => {
                    shared.join(admitted.cluster_id, admitted.raft_id, admitted.incarnation).await?;
                    now = true;
                    continue;
                }
                Err(why) => shared.wait_for(Some(format!(
                    "raft/ is empty, but the peers are members of cluster {cluster_id}; not let back in yet: {why}"
                ))),
            },
            Decision::Stop(why) => return Err(why),
        }
        tokio::select! {
            () = shared.promised.notified() => {}
            () = sleep(AGAIN) => {}
        }
    }
}

/// A disk with several voters, or promised to several founders, cannot be run alone (spec §13.1).
async fn refuse_alone(shared: &Shared, running: &Running, founding: Option<&Founding>) -> Result<(), String> {
    match shared.settings.mode {
        Mode::Embedded(_) => return Ok(()),
        Mode::Single => {}
    }
    // Asked of the core: the metrics are empty until it has published them for the first time.
    let members = running.raft.with_raft_state(|state| {
        let membership = state.membership_state.effective().membership();
        membership.nodes().map(|(_, node)| node.name.clone()).collect::<BTreeSet<String>>()
    });
    let mut members = members.await.map_err(|e| e.to_string())?;
    members.extend(founding.into_iter().flat_map(|founding| founding.members.keys().cloned()));
    if members.len() <= 1 {
        return Ok(());
    }
    let members: Vec<String> = members.into_iter().collect();
    Err(format!(
        "CLUSTER_MODE is off, but this disk belongs to a cluster of {}. Start it with CLUSTER_MODE=embedded, or \
         make a new single node from a copy of its raft/ with \
         `hellojohn cluster snapshot restore --from-dir DIR --data NEW`.",
        members.join(", "),
    ))
}

async fn ask_peers(shared: &Arc<Shared>) -> BTreeMap<String, Option<Probe>> {
    let own = shared.probe();
    let asked = shared.settings.peers().into_iter().map(|name| {
        let own = own.clone();
        async move {
            let client = shared.dialer.client(&name);
            let answer = client.call_json::<_, Probe>(RpcKind::Probe, &own, ANSWER).await;
            if let Err(error) = &answer {
                tracing::debug!(peer = name, %error, "no answer to the probe");
            }
            (name, answer.ok())
        }
    });
    futures::future::join_all(asked).await.into_iter().collect()
}

fn new_cluster(shared: &Shared) -> PromiseRequest {
    PromiseRequest {
        former: shared.settings.name.clone(),
        cluster_id: Uuid::new_v4(),
        members: (1..).zip(shared.settings.names()).map(|(id, name)| (name, id)).collect(),
        probe: shared.probe(),
    }
}

async fn run_raft(node: &Node, place: Place) -> Result<Arc<Running>, StartError> {
    let shared = &node.shared;
    let network = PeerNetwork::new(
        place.raft_id,
        Arc::clone(&shared.dialer),
        Arc::clone(&shared.contacts),
        Arc::clone(&shared.reverted),
    );
    let views = shared.views.clone();
    let running =
        Running::start(&shared.settings, &shared.raft_dir, place, &node.tasks, network, views).await?;
    let running = Arc::new(running);
    shared.running.store(Some(Arc::clone(&running)));
    let stop = shared.stop.clone();
    let (raft, timers) = (running.raft.clone(), shared.settings.timers);
    let window = timers.window(&shared.settings.name, &shared.settings.names());
    let elections = Elections::new(&running, timers, window, Arc::clone(&shared.dialer));
    node.tasks.spawn(elections.watch(stop.clone()));
    for name in shared.settings.peers() {
        let (peer, pulse) = (shared.dialer.client(&name), Arc::clone(&running.pulse));
        node.tasks.spawn(alive::give_signs(Arc::clone(shared), raft.clone(), peer, pulse));
    }
    node.tasks.spawn(election::send_heartbeats(raft, timers.heartbeat, stop.clone()));
    node.tasks.spawn(membership::keep(Arc::clone(shared), Arc::clone(&running), stop.clone()));
    node.tasks.spawn(membership::keep_raising(Arc::clone(shared), Arc::clone(&running), stop.clone()));
    let limits = Limits { every: shared.settings.snapshot_every, log_bytes: shared.settings.max_log_bytes };
    node.tasks.spawn(compaction::keep_log_short(running.raft.clone(), running.log.clone(), limits, stop));
    Ok(running)
}

/// As the former: collects every peer's durable promise, then initializes Raft. After a crash it goes on
/// with the same cluster id.
async fn found(shared: &Arc<Shared>, running: &Running, founding: &Founding) -> Result<(), String> {
    if running.raft.is_initialized().await.map_err(|e| e.to_string())? {
        return Ok(());
    }
    let request = PromiseRequest {
        former: founding.former.clone(),
        cluster_id: founding.cluster_id,
        members: founding.members.clone(),
        probe: shared.probe(),
    };
    loop {
        match collect(shared, &request).await {
            None => break,
            Some(why) => shared.wait_for(Some(why)),
        }
        sleep(AGAIN).await;
    }
    let members: BTreeMap<u64, Member> =
        founding.members.iter().map(|(name, id)| (*id, Member { name: name.clone() })).collect();
    running.raft.initialize(members).await.map_err(|e| e.to_string())?;
    tracing::info!(cluster_id = %founding.cluster_id, "cluster formed");
    Ok(())
}

/// Asks every peer to promise; `None` when all have, else why not.
async fn collect(shared: &Arc<Shared>, request: &PromiseRequest) -> Option<String> {
    let asked = shared.settings.peers().into_iter().map(|name| async move {
        let client = shared.dialer.client(&name);
        match client.call_json::<_, PromiseAnswer>(RpcKind::Promise, request, ANSWER).await {
            Ok(PromiseAnswer::Promised) => None,
            Ok(PromiseAnswer::Refused { reason }) => Some(format!("{name} does not join: {reason}")),
            Err(error) => Some(format!("waiting for the promise of {name}: {error}")),
        }
    });
    let refusals: Vec<String> = futures::future::join_all(asked).await.into_iter().flatten().collect();
    if refusals.is_empty() { None } else { Some(refusals.join("; ")) }
}

/// Waits until the state says which cluster this is and holds all that this disk knew to be committed, and all up
/// to the entry `index`; and checks that it is the right cluster. A leader says it first.
async fn settle(shared: &Arc<Shared>, running: &Running, part: &Part, index: u64) -> Result<(), String> {
    let cluster_id = part.cluster_id;
    let founding = part.founding();
    let mut views = shared.views.subscribe();
    if let Some(founding) = founding {
        shared.wait_for(Some(format!(
            "promised to found cluster {cluster_id} with {former}, and not all founders have met yet; should {former} \
             be lost for good, see docs/ha.md, \"Forming\"",
            former = founding.former
        )));
    }
    loop {
        let (formation, applied) = {
            let view = views.borrow_and_update();
            (view.formation().cloned(), view.applied_index())
        };
        match (formation, founding) {
            (Some(formation), _) if formation.cluster_id != cluster_id => {
                return Err(format!(
                    "this disk belongs to cluster {cluster_id}, but its log to cluster {}",
                    formation.cluster_id
                ));
            }
            (Some(_), _) if running.caught_up() && applied >= index => return Ok(()),
            (Some(_), _) | (None, None) => {}
            (None, Some(founding)) => declare(shared, running, founding).await,
        }
        tokio::select! {
            changed = views.changed() => changed.map_err(|e| e.to_string())?,
            () = sleep(AGAIN) => {}
        }
    }
}

/// If this node leads a cluster that does not know its own id yet, proposes it.
async fn declare(shared: &Shared, running: &Running, founding: &Founding) {
    if running.metrics().state != openraft::ServerState::Leader {
        return;
    }
    let envelope = Envelope {
        at: shared.settings.now.now(),
        actor: "system".to_owned(),
        request_id: format!("form-{}", founding.cluster_id),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::FormCluster { cluster_id: founding.cluster_id, members: founding.members.clone() },
    };
    if let Err(error) = running.proposals.propose(envelope).await {
        tracing::info!(%error, "the cluster's id is not in the log yet, trying again");
    }
}

/// Resolves when Raft or its log has failed.
async fn watch_storage(running: &Running) -> Result<(), String> {
    let metrics = running.raft.metrics();
    let mut log = running.log.fatal();
    // Not woken by each change: the metrics change several times for each write.
    let stopped = async {
        loop {
            if let Err(fatal) = &metrics.borrow().running_state {
                return fatal.to_string();
            }
            // A core that panicked says nothing more; its end of the channel is gone.
            if metrics.has_changed().is_err() {
                return "raft has gone".to_owned();
            }
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        why = stopped => Err(why),
        failed = log.wait_for(Option::is_some) => match failed {
            Ok(error) => Err(error.as_ref().map_or_else(String::new, ToString::to_string)),
            Err(_) => Err("the log has gone".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests;
