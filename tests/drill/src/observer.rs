//! Looks at every node all the time: who leads in which term (I3), and that a node which says that it is ready can read
//! its state (I10) and shows keys (I6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::cluster::directory::{Answer, Directory};
use crate::net::NODES;

const EVERY: Duration = Duration::from_millis(100);
/// Of so many looks one is also at the keys and at a document.
const DEEP: u32 = 5;

/// A tenant that every drill writes before anything else.
pub const PLANTED: &str = "planted";

/// What was seen.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    leaders: BTreeMap<u64, BTreeSet<usize>>,
    /// The highest term.
    pub term: u64,
    last_leader: Option<(u64, usize)>,
    /// How often another node led than before.
    pub changes: u64,
    violations: BTreeSet<String>,
}

impl Seen {
    fn leads(&mut self, term: u64, node: usize) {
        self.leaders.entry(term).or_default().insert(node);
        if self.last_leader.is_none_or(|(before, _)| before < term) {
            let changed = self.last_leader.is_some_and(|(_, before)| before != node);
            self.changes += u64::from(changed);
            self.last_leader = Some((term, node));
        }
    }

    /// What must not be and was seen.
    pub fn violations(&self) -> Vec<String> {
        let two = self.leaders.iter().filter(|(_, nodes)| nodes.len() > 1);
        let two = two.map(|(term, nodes)| {
            let names: Vec<String> = nodes.iter().map(|node| format!("node{}", node + 1)).collect();
            format!("I3: in term {term} these said that they lead: {}", names.join(", "))
        });
        two.chain(self.violations.iter().cloned()).collect()
    }
}

/// Running looks.
#[derive(Debug)]
pub struct Observer {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Observer {
    /// Starts to look.
    pub fn start(directory: &Arc<Directory>) -> Self {
        let (seen, stop, mut tasks) =
            (Arc::<Mutex<Seen>>::default(), CancellationToken::new(), JoinSet::new());
        for node in 0..NODES {
            let (directory, seen, stop) = (Arc::clone(directory), Arc::clone(&seen), stop.clone());
            tasks.spawn(async move {
                let mut looks = 0_u32;
                while !stop.is_cancelled() {
                    looks = looks.wrapping_add(1);
                    look(&directory, &seen, node, looks.is_multiple_of(DEEP)).await;
                    sleep(EVERY).await;
                }
            });
        }
        Self { seen, stop, tasks }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends looking.
    pub async fn stop(mut self) -> Seen {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.seen()
    }
}

async fn look(directory: &Directory, seen: &Mutex<Seen>, node: usize, deep: bool) {
    let process = directory.starts(node);
    let Some(status) = directory.status(node).await else { return };
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.term = seen.term.max(status.term);
        if status.leads {
            seen.leads(status.term, node);
        }
    }
    if !status.ready || !deep {
        return;
    }
    for (path, fits) in [
        ("/.well-known/jwks.json".to_owned(), has_keys as fn(&Answer) -> bool),
        (format!("/v1/admin/tenants/{PLANTED}"), is_there as fn(&Answer) -> bool),
    ] {
        let Some(answer) = directory.get(node, &path).await else { continue };
        if fits(&answer) || process != directory.starts(node) {
            continue;
        }
        let what = format!(
            "I10: node{} said that it is ready, and answered {path} with {} {}",
            node + 1,
            answer.status,
            answer.code()
        );
        seen.lock().unwrap_or_else(PoisonError::into_inner).violations.insert(what);
    }
}

/// Whether an answer is a key set with a key in it.
pub fn has_keys(answer: &Answer) -> bool {
    let body = answer.json();
    let keys = body.get("keys").and_then(Value::as_array);
    answer.status == 200 && keys.is_some_and(|keys| !keys.is_empty())
}

fn is_there(answer: &Answer) -> bool {
    answer.status == 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leaders_in_one_term_are_a_violation_and_in_two_terms_a_change() {
        let mut seen = Seen::default();
        seen.leads(1, 0);
        seen.leads(2, 1);
        // The one before has not noticed yet.
        seen.leads(1, 0);
        seen.leads(3, 1);
        assert_eq!((seen.changes, seen.violations()), (1, Vec::new()));
        seen.leads(3, 2);
        assert_eq!(seen.violations(), ["I3: in term 3 these said that they lead: node2, node3"]);
    }
}
