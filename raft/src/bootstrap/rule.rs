//! The rule that decides whether this node forms a cluster. Pure, so that every case can be tested.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::messages::{Probe, Standing};

/// What a node that has not formed or joined a cluster does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is the one that forms the cluster, and everybody is ready.
    Form,
    /// It waits; the text says for what, for `/readyz` and for the log.
    Wait(String),
    /// Its peers have a cluster already.
    ClusterExists {
        /// Which one.
        cluster_id: Uuid,
    },
    /// It can never go on without an operator.
    Stop(String),
}

/// Decides from what this node knows of itself and from the answers of its peers (`None`: no answer).
///
/// A node forms a cluster only if all configured peers answered, all are pristine, their node lists and
/// master keys are the same, and it is the only one flagged, or none is and its name is the smallest.
pub fn decide(own: &Probe, peers: &BTreeMap<String, Option<Probe>>) -> Decision {
    let answers: Vec<&Probe> = peers.values().flatten().collect();
    if let Some(cluster_id) = existing_cluster(&answers) {
        return Decision::ClusterExists { cluster_id };
    }
    if let Some(problem) = disagreement(own, &answers) {
        return Decision::Wait(problem);
    }
    let silent: Vec<&str> =
        peers.iter().filter(|(_, answer)| answer.is_none()).map(|(name, _)| name.as_str()).collect();
    if !silent.is_empty() {
        return Decision::Wait(format!("waiting for {}: no answer", silent.join(", ")));
    }
    if own.standing == Standing::Orphaned {
        return Decision::Stop(
            "raft/ is empty but tenants/ or keys/ are not, and no peer knows a cluster. Restore it with \
             `hellojohn cluster snapshot restore`, or move the files away to begin anew. Nothing was deleted."
                .to_owned(),
        );
    }
    if let Some(other) = answers.iter().find(|answer| answer.standing != Standing::Pristine) {
        return Decision::Wait(match &other.standing {
            Standing::Orphaned => {
                format!("{} has files but no raft/; it must be restored first", other.name)
            }
            Standing::Promised { cluster_id } => {
                format!(
                    "{} has promised to join cluster {cluster_id}; waiting for whoever forms it",
                    other.name
                )
            }
            Standing::Pristine | Standing::Joining { .. } | Standing::Member { .. } => {
                format!("waiting for {}", other.name)
            }
        });
    }
    let everybody = || answers.iter().copied().chain([own]);
    let flagged: Vec<&str> = everybody().filter(|p| p.bootstrap).map(|p| p.name.as_str()).collect();
    match flagged.as_slice() {
        [] => {
            let smallest = everybody().map(|p| p.name.as_str()).min().unwrap_or(&own.name);
            form_or_wait(own, smallest)
        }
        [only] => form_or_wait(own, only),
        several => {
            let mut names = several.to_vec();
            names.sort_unstable();
            Decision::Wait(format!(
                "CLUSTER_BOOTSTRAP is set on {}; set it on one node only",
                names.join(" and ")
            ))
        }
    }
}

fn form_or_wait(own: &Probe, former: &str) -> Decision {
    if former == own.name {
        Decision::Form
    } else {
        Decision::Wait(format!("waiting for {former} to form the cluster"))
    }
}

fn existing_cluster(answers: &[&Probe]) -> Option<Uuid> {
    answers.iter().find_map(|answer| match answer.standing {
        Standing::Joining { cluster_id } | Standing::Member { cluster_id } => Some(cluster_id),
        Standing::Pristine | Standing::Orphaned | Standing::Promised { .. } => None,
    })
}

/// What keeps this node and an answering peer from ever being in one cluster.
fn disagreement(own: &Probe, answers: &[&Probe]) -> Option<String> {
    answers.iter().find_map(|answer| differs(own, answer))
}

/// In what `other` differs from `own` so that they cannot be in one cluster.
pub fn differs(own: &Probe, other: &Probe) -> Option<String> {
    let name = &other.name;
    if own.nodes_hash != other.nodes_hash {
        return Some(format!("CLUSTER_NODES of {name} differs from this node's; make them the same"));
    }
    keys_differ(own, other)
}

/// Which master key of `other` is not this node's.
pub fn keys_differ(own: &Probe, other: &Probe) -> Option<String> {
    let name = &other.name;
    if own.fingerprints.signing != other.fingerprints.signing {
        Some(format!(
            "SIGNING_MASTER_KEY of {name} differs from this node's; it must be the same on all nodes"
        ))
    } else if own.fingerprints.secretbox != other.fingerprints.secretbox {
        Some(format!(
            "SECRETBOX_MASTER_KEY of {name} differs from this node's; it must be the same on all nodes"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
