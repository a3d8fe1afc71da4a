//! The cluster itself: its birth, and the Raft ids of its members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{Machine, invalid};
use crate::format::FIRST_FORMAT;
use crate::limits;
use crate::outcome::{Outcome, Reject};
use crate::state::{Formation, MemberIdentity, MemberRole};
use crate::validate::FieldError;

/// Bytes of a node's name, which is a DNS name in its certificate.
const NAME: usize = 253;

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
            return Err(invalid_member(
                "members",
                "duplicate",
                "each founder must have a Raft id of its own",
            ));
        }
        // Ids are counted up from here and never used twice, so there must be one left.
        let Some(next_raft_id) = members.values().max().and_then(|highest| highest.checked_add(1)) else {
            let message = "must name the founders, with Raft ids below 2^64 - 1";
            return Err(invalid_member("members", "required", message));
        };
        let members =
            members.iter().map(|(name, raft_id)| (name.clone(), MemberIdentity::founder(*raft_id))).collect();
        let formation = Formation { cluster_id, next_raft_id, members, format: FIRST_FORMAT };
        self.state.formation = Some(Arc::new(formation));
        Ok(Outcome::ClusterFormed)
    }

    /// Gives a member of this name the next Raft id. Its old one stays used up for ever (spec §13.4).
    pub(super) fn admit_node(
        &mut self,
        name: &str,
        admission: Option<Uuid>,
        knows: u16,
    ) -> Result<Outcome, Reject> {
        self.change_formation(|formation| {
            if knows < formation.format {
                return Err(Reject::ReleaseTooOld { knows, format: formation.format });
            }
            let raft_id = formation.next_raft_id;
            let member = formation.members.get_mut(name).ok_or(Reject::NodeNotFound)?;
            if let Some(given) = member.raft_id
                && admission.is_some()
                && member.admission == admission
            {
                return Ok(Outcome::NodeAdmitted { raft_id: given, incarnation: member.incarnation });
            }
            let next = raft_id.checked_add(1).ok_or_else(|| super::limit("Raft ids", usize::MAX))?;
            let incarnation = member.incarnation.saturating_add(1);
            *member = MemberIdentity { raft_id: Some(raft_id), incarnation, admission, role: member.role };
            formation.next_raft_id = next;
            Ok(Outcome::NodeAdmitted { raft_id, incarnation })
        })
    }

    /// Expects a node of this name. One that is a member already stays what it is.
    pub(super) fn add_member(&mut self, name: &str) -> Result<Outcome, Reject> {
        if name.is_empty() || name.len() > NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid_member("name", "invalid", "must be the NODE_ID of a node"));
        }
        self.change_formation(|formation| {
            if formation.members.contains_key(name) {
                return Ok(Outcome::Member { created: false });
            }
            if formation.members.len() >= limits::MEMBERS {
                return Err(super::limit("members", limits::MEMBERS));
            }
            formation.members.insert(name.to_owned(), MemberIdentity::expected());
            Ok(Outcome::Member { created: true })
        })
    }

    /// Makes a learner a voter; a voter stays one.
    pub(super) fn promote_member(&mut self, name: &str) -> Result<Outcome, Reject> {
        self.change_formation(|formation| {
            let member = formation.members.get_mut(name).ok_or(Reject::NodeNotFound)?;
            if member.raft_id.is_none() {
                return Err(Reject::NotJoined);
            }
            member.role = MemberRole::Voter;
            Ok(Outcome::Member { created: false })
        })
    }

    /// Takes a member out; the last voter stays.
    pub(super) fn remove_member(&mut self, name: &str) -> Result<Outcome, Reject> {
        self.change_formation(|formation| {
            formation.members.remove(name).ok_or(Reject::NodeNotFound)?;
            if formation.members.values().any(|member| member.role.is_voter()) {
                Ok(Outcome::MemberRemoved)
            } else {
                Err(Reject::LastVoter)
            }
        })
    }

    /// Writes this format from now on. `seen` are the Raft ids of those who were seen to know it: when somebody else has
    /// come since, it may be a node that does not.
    pub(super) fn raise_format(&mut self, to: u16, seen: &BTreeSet<u64>) -> Result<Outcome, Reject> {
        self.change_formation(|formation| {
            let members: BTreeSet<u64> =
                formation.members.values().filter_map(|member| member.raft_id).collect();
            if members != *seen {
                return Err(Reject::MembersChanged);
            }
            formation.format = formation.format.max(to);
            Ok(Outcome::FormatRaised { format: formation.format })
        })
    }

    /// Makes a change of the formation, unless it is refused.
    fn change_formation(
        &mut self,
        change: impl FnOnce(&mut Formation) -> Result<Outcome, Reject>,
    ) -> Result<Outcome, Reject> {
        let formation = self.state.formation.as_ref().ok_or(Reject::NodeNotFound)?;
        let mut changed = Formation::clone(formation);
        let outcome = change(&mut changed)?;
        if changed != **formation {
            self.state.formation = Some(Arc::new(changed));
        }
        Ok(outcome)
    }
}

fn invalid_member(field: &str, code: &str, message: &str) -> Reject {
    let (field, code, message) = (field.to_owned(), code.to_owned(), message.to_owned());
    invalid(vec![FieldError { field, code, message }])
}
