//! Use cases of the cluster's members: add, promote, remove, and a planned change of the leader (spec §3.2, EP131).

use std::time::Duration;

use hellojohn_control::{Command, Outcome};

use super::{ControlService, unexpected};
use crate::cluster::{HandOver, HandOverError, MemberRefusal, MemberStatus};
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::UserStores;
use crate::service::{Code, Error, Result, WriteContext};

/// How long a change has to take effect before it is answered as begun.
const SETTLE: Duration = Duration::from_secs(5);

/// A change of the members that is in the log.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Log index of the change.
    pub index: u64,
    /// Whether the member is new.
    pub created: bool,
    /// The member as it is now; none when it has left.
    pub member: Option<MemberStatus>,
}

impl ControlService {
    /// Expects a node of this name: it becomes a learner when it comes with an empty disk.
    ///
    /// # Errors
    /// `member_not_ready` while its address is not known everywhere, `limit_reached`, and the cluster's refusals.
    pub async fn add_member(&self, context: &WriteContext, name: &str) -> Result<Settled> {
        if !self.was_done(context) {
            self.plane.may_add(name).await.map_err(|why| refusal(&why))?;
        }
        self.change(context, name, Command::AddMember { name: name.to_owned() }).await
    }

    /// Makes a learner a voter. Answered when it votes, or as begun when that takes longer.
    ///
    /// # Errors
    /// `member_not_found`, `member_not_ready`, and the cluster's refusals.
    pub async fn promote_member(&self, context: &WriteContext, name: &str) -> Result<Settled> {
        if !self.was_done(context) {
            self.plane.may_promote(name).await.map_err(|why| refusal(&why))?;
        }
        self.change(context, name, Command::PromoteMember { name: name.to_owned() }).await
    }

    /// Takes a member out of the cluster.
    ///
    /// # Errors
    /// `member_not_found`, `member_leads`, `quorum_at_risk`, and the cluster's refusals.
    pub async fn remove_member(&self, context: &WriteContext, name: &str) -> Result<Settled> {
        if !self.was_done(context) {
            self.plane.may_remove(name).await.map_err(|why| refusal(&why))?;
        }
        self.change(context, name, Command::RemoveMember { name: name.to_owned() }).await
    }

    async fn change(&self, context: &WriteContext, name: &str, command: Command) -> Result<Settled> {
        let written = self.write(context, command).await.map_err(|e| self.refused(e))?;
        let created = match written.outcome {
            Outcome::Member { created } => created,
            // Whoever has this name now came after.
            Outcome::MemberRemoved if context.was_replayed() => {
                return Ok(Settled { index: written.index, created: false, member: None });
            }
            Outcome::MemberRemoved => false,
            other => return Err(unexpected(&other)),
        };
        if !self.plane.member_settled(name, SETTLE).await {
            tracing::info!(name, "the change of the members has not taken effect yet");
        }
        let member = self.plane.members().into_iter().find(|member| member.name == name);
        Ok(Settled { index: written.index, created, member })
    }

    /// Lets another voter lead: `to`, or the one that has most of the log.
    ///
    /// # Errors
    /// `no_successor` while this node still leads; `no_leader` when the successor was not elected; and the cluster's
    /// refusals.
    pub async fn hand_over(
        &self,
        _gated: &WriteContext,
        by: &Administrator,
        stores: &UserStores,
        to: Option<&str>,
    ) -> Result<HandOver> {
        let handed = self.plane.hand_over(to).await;
        let result = handed.map_err(|error| match error {
            HandOverError::NotLeader(error) => self.refused(error.into()),
            HandOverError::NoSuccessor(why) => Error::new(Code::NoSuccessor).detail(why),
            HandOverError::NotElected(why) => Error::no_leader(self.defaults.retry_after).detail(why),
        });
        let event = AdminEvent::of_node(by, AdminAction::StepDown, to.unwrap_or_default());
        stores.witnessed(&event, result).await
    }
}

fn refusal(refusal: &MemberRefusal) -> Error {
    let text = refusal.to_string();
    let code = match refusal {
        MemberRefusal::Unreachable(_) | MemberRefusal::NotReady(_) => Code::MemberNotReady,
        MemberRefusal::Leads(_) => Code::MemberLeads,
        MemberRefusal::QuorumAtRisk(_) => Code::QuorumAtRisk,
    };
    Error::new(code).detail(text)
}
