//! The cluster itself: its birth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Machine, invalid};
use crate::outcome::{Outcome, Reject};
use crate::state::{Formation, MemberIdentity};
use crate::validate::FieldError;

impl Machine {
    /// Notes who founded the cluster. Once and for all: a cluster is never formed a second time (spec §3.2).
    pub(super) fn form_cluster(
        &mut self,
        cluster_id: Uuid,
        members: &BTreeMap<String, u64>,
    ) -> Result<Outcome, Reject> {
        if self.state.formation.is_some() {
            return Err(Reject::AlreadyFormed);
        }
        if members.values().collect::<BTreeSet<_>>().len() != members.len() {
            return Err(invalid_members("duplicate", "each founder must have a Raft id of its own"));
        }
        // Ids are counted up from here and never used twice, so there must be one left.
        let Some(next_raft_id) = members.values().max().and_then(|highest| highest.checked_add(1)) else {
            let message = "must name the founders, with Raft ids below 2^64 - 1";
            return Err(invalid_members("required", message));
        };
        let members = members
            .iter()
            .map(|(name, raft_id)| (name.clone(), MemberIdentity { raft_id: *raft_id, incarnation: 1 }))
            .collect();
        let formation = Formation { cluster_id, next_raft_id, members };
        self.state.formation = Some(Arc::new(formation));
        Ok(Outcome::ClusterFormed)
    }
}

fn invalid_members(code: &str, message: &str) -> Reject {
    let field = "members".to_owned();
    invalid(vec![FieldError { field, code: code.to_owned(), message: message.to_owned() }])
}
