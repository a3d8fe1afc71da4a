//! When the cluster may write what older releases cannot read; see [`hellojohn_control::format`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Command, Envelope, FORMAT, Formation};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{ANSWER, knows_its_term, standing};
use crate::network::{Hello, PeerClient};
use crate::running::Running;
use crate::shared::Shared;
use crate::types::Metrics;

/// How often a node looks whether it leads and knows more than the cluster writes, which asks nobody.
const LOOK: Duration = Duration::from_millis(200);
/// How long the leader waits before it asks the members again what they know.
const AGAIN: Duration = Duration::from_secs(2);

/// Name of the format among those of a hello.
pub(crate) const NAME: &str = "state";

/// The newest format that a peer knows.
pub(super) fn known_by(peer: &Hello) -> u16 {
    let said = peer.formats.get(NAME).copied().unwrap_or(1);
    u16::try_from(said).unwrap_or(u16::MAX)
}

/// While this node leads, raises the format once every member knows a newer one.
pub(crate) async fn keep_raising(shared: Arc<Shared>, running: Arc<Running>, stop: CancellationToken) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hindered = None;
    let mut next = Instant::now();
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let view = running.view();
        let Some(formation) = view.formation().filter(|formation| formation.format < FORMAT) else {
            continue;
        };
        let due = Instant::now() >= next;
        if !due || shared.check_leader(&running).is_err() || !knows_its_term(&running.metrics()) {
            continue;
        }
        let raised = stop.run_until_cancelled(raise(&shared, &running, formation)).await;
        let Some(raised) = raised else { return };
        let reason = raised.err();
        if reason.is_some() && reason != hindered {
            tracing::info!(reason, writes = formation.format, knows = FORMAT, "the format is not raised yet");
        }
        hindered = reason;
        next = Instant::now() + AGAIN;
    }
}

/// Raises the format to the newest that everybody knows, if that is newer than what the cluster writes.
async fn raise(shared: &Arc<Shared>, running: &Running, formation: &Formation) -> Result<(), String> {
    let members = settled(formation, &running.metrics())?;
    let others = members.iter().filter(|(_, name)| **name != shared.settings.name);
    let asked = others.map(|(id, name)| known(shared, shared.dialer.member(name, *id)));
    let mut to = FORMAT;
    for known in futures::future::try_join_all(asked).await? {
        if known.format <= formation.format {
            let Known { name, release, format } = known;
            return Err(format!("{name} runs release {release}, which knows formats up to {format}"));
        }
        to = to.min(known.format);
    }
    let seen: BTreeSet<u64> = members.into_keys().collect();
    let envelope = Envelope {
        at: shared.settings.now.now(),
        actor: "system".to_owned(),
        request_id: format!("raise-format-{to}"),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::RaiseFormat { to, seen },
    };
    running.proposals.propose(envelope).await.map_err(|e| e.to_string())?;
    tracing::info!(format = to, "every member knows a newer format: it is written from now on");
    Ok(())
}

/// What a node knows.
struct Known {
    name: String,
    release: String,
    format: u16,
}

/// Asks a member. The connection alone is no answer: the process behind it may have been replaced.
async fn known(shared: &Arc<Shared>, client: PeerClient) -> Result<Known, String> {
    standing(shared, &client).await?;
    let hello = client.hello(ANSWER).await.map_err(|e| format!("{}: {e}", client.name()))?;
    Ok(Known { name: client.name().to_owned(), release: hello.software.clone(), format: known_by(&hello) })
}

/// The members by Raft id, when the Raft membership is what the state says: whoever is leaving still receives the log.
///
/// # Errors
/// Who is only in one of the two.
fn settled<'a>(formation: &'a Formation, metrics: &Metrics) -> Result<BTreeMap<u64, &'a str>, String> {
    let members: BTreeMap<u64, &str> = formation
        .members
        .iter()
        .filter_map(|(name, member)| member.raft_id.map(|id| (id, name.as_str())))
        .collect();
    let there: BTreeMap<u64, &str> = metrics
        .membership_config
        .membership()
        .nodes()
        .map(|(id, member)| (*id, member.name.as_str()))
        .collect();
    if let Some(name) = members.iter().find_map(|(id, name)| (!there.contains_key(id)).then_some(name)) {
        return Err(format!("{name} was admitted and is not there yet; let it join, or remove it"));
    }
    if let Some(name) = there.iter().find_map(|(id, name)| (!members.contains_key(id)).then_some(name)) {
        return Err(format!("an earlier disk of {name} is still being removed from the members"));
    }
    Ok(members)
}
