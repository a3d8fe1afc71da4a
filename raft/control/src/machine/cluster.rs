//! The cluster itself: its birth, and the Raft ids of its members.

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

    /// Gives a member of this name the next Raft id. Its old one stays used up for ever (spec §13.4).
    pub(super) fn admit_node(&mut self, name: &str) -> Result<Outcome, Reject> {
        let formation = self.state.formation.as_ref().ok_or(Reject::NodeNotFound)?;
        let raft_id = formation.next_raft_id;
        let mut formation = Formation::clone(formation);
        let member = formation.members.get_mut(name).ok_or(Reject::NodeNotFound)?;
        let next = raft_id.checked_add(1).ok_or_else(|| super::limit("Raft ids", usize::MAX))?;
        *member = MemberIdentity { raft_id, incarnation: member.incarnation.saturating_add(1) };
        let incarnation = member.incarnation;
        formation.next_raft_id = next;
        self.state.formation = Some(Arc::new(formation));
        Ok(Outcome::NodeAdmitted { raft_id, incarnation })
    }
}

fn invalid_members(code: &str, message: &str) -> Reject {
    let field = "members".to_owned();
    invalid(vec![FieldError { field, code: code.to_owned(), message: message.to_owned() }])
}
