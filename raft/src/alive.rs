//! A sign of life that does not pass through Raft's core.
//!
//! openraft's core sends no heartbeat while it waits for its own disk, and a follower's core reads none. A disk that
//! stalls for half a second under somebody else's load would so cost a leader its office, and the next leader has
//! the same disks. With each heartbeat a leader therefore says besides, past the core, that its process lives.
//! That only puts off elections (see [`crate::election`], [`crate::prevote`]): it acknowledges nothing, and it ends
//! when the core has stood still for [`PATIENCE`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use openraft::ServerState;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::network::{Dialer, PeerClient, RpcKind};
use crate::pulse::Pulse;
use crate::types::Raft;

/// How long a core may stand still before its node counts as gone. A hung disk costs this much more than a
/// process that died.
const PATIENCE: Duration = Duration::from_secs(1);

/// The leader of this term lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alive {
    /// Raft id of the leader.
    pub(crate) leader: u64,
    /// Its term.
    pub(crate) term: u64,
}

/// When this node's leader last said that it lives.
#[derive(Debug, Default)]
pub(crate) struct LastSign(Mutex<Option<Instant>>);

impl LastSign {
    /// Notes the sign if it is from the leader that this node follows.
    pub(crate) fn note(&self, raft: &Raft, sign: &Alive) {
        let follows = {
            let metrics = raft.metrics();
            let vote = metrics.borrow().vote;
            vote.is_committed() && (vote.leader_id.term, vote.leader_id.node_id) == (sign.term, sign.leader)
        };
        if follows {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// When the last sign came.
    pub(crate) fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives signs of life with every heartbeat while this node leads, until `stop`.
pub(crate) async fn give_signs(
    raft: Raft,
    dialer: Arc<Dialer>,
    pulse: Arc<Pulse>,
    heartbeat: Duration,
    stop: CancellationToken,
) {
    let mut clients: HashMap<String, PeerClient> = HashMap::new();
    let metrics = raft.metrics();
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beats.tick() => {}
        }
        let (sign, peers) = {
            let metrics = metrics.borrow();
            if metrics.state != ServerState::Leader || pulse.age() > PATIENCE {
                continue;
            }
            let membership = metrics.membership_config.membership();
            let others = membership.nodes().filter(|(id, _)| **id != metrics.id);
            let peers: Vec<String> = others.map(|(_, node)| node.name.clone()).collect();
            (Alive { leader: metrics.id, term: metrics.vote.leader_id.term }, peers)
        };
        for name in &peers {
            clients.entry(name.clone()).or_insert_with(|| dialer.client(name));
        }
        let told = peers.iter().filter_map(|name| clients.get(name)).map(|client| async {
            // A peer that is down, or too old to know the question, is told again with the next heartbeat.
            drop(client.call_json::<_, ()>(RpcKind::Alive, &sign, heartbeat).await);
        });
        join_all(told).await;
    }
}
