//! What is told of a request, and the row of it.

use std::net::IpAddr;

use hellojohn_control::{Slug, Timestamp};
use uuid::Uuid;

use crate::domain::audit::{
    Action, AdminAction, MAX_AGENT, MAX_NAME, MAX_REQUEST_ID, Outcome, Record, bounded,
};
use crate::domain::user::UserId;

/// Where a request comes from, for the record of what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The request id under which everything about this request is logged.
    pub request_id: String,
    /// The client's address.
    pub ip: IpAddr,
    /// The client's user agent, printable and bounded.
    pub user_agent: Option<String>,
}

/// An administrator who asks for something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// Tenant and subject of the token, as in the envelopes of control-plane writes.
    pub actor: String,
    /// Where the request comes from.
    pub requester: Requester,
}

/// What somebody did with an account, or tried to.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// From where.
    pub requester: &'a Requester,
    /// What was done or tried.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// In which tenant.
    pub tenant: &'a Slug,
    /// The account that acted, where it is known.
    pub actor: Option<UserId>,
    /// What was acted upon: an account, a session.
    pub target: Option<Uuid>,
    /// The client that it was done through.
    pub client_id: Option<&'a str>,
}

/// What an administrator did outside the replicated log, or tried to; what goes through the log is recorded with it (S113).
#[derive(Debug, Clone, Copy)]
pub struct AdminEvent<'a> {
    /// Who, and from where.
    pub by: &'a Administrator,
    /// What was done or tried.
    pub action: AdminAction,
    /// How it ended. A failed change of the leader or of a database may have happened all the same; the reason says so.
    pub outcome: Outcome,
    /// In which tenant; none for what is done to a node.
    pub tenant: Option<&'a Slug>,
    /// What it was done to: an account, a client, a role, a node.
    pub object: Option<&'a str>,
}

impl<'a> AdminEvent<'a> {
    /// Something that is done in a tenant.
    pub fn of_tenant(by: &'a Administrator, action: AdminAction, tenant: &'a Slug) -> Self {
        Self { by, action, outcome: Outcome::Ok, tenant: Some(tenant), object: None }
    }

    /// Something that is done to a node.
    pub fn of_node(by: &'a Administrator, action: AdminAction, node: &'a str) -> Self {
        Self { by, action, outcome: Outcome::Ok, tenant: None, object: Some(node) }
    }

    /// The same, done to this.
    #[must_use]
    pub fn to(self, object: &'a str) -> Self {
        Self { object: Some(object), ..self }
    }
}

impl Event<'_> {
    /// The row of it.
    pub fn record(&self, id: Uuid, at: Timestamp) -> Record<'_> {
        Record {
            actor: self.actor.map(|user| format!("{}/{user}", self.tenant)),
            target: self.target.map(|target| target.to_string()),
            client_id: self.client_id,
            ..made(id, at, self.action.as_str(), self.outcome, self.requester)
        }
    }
}

impl AdminEvent<'_> {
    /// The row of it.
    pub fn record(&self, id: Uuid, at: Timestamp) -> Record<'_> {
        Record {
            actor: Some(bounded(&self.by.actor, MAX_NAME)),
            target: self.object.map(|object| bounded(object, MAX_NAME)).filter(|text| !text.is_empty()),
            ..made(id, at, self.action.as_str(), self.outcome, &self.by.requester)
        }
    }
}

fn made<'a>(
    id: Uuid,
    at: Timestamp,
    action: &'static str,
    outcome: Outcome,
    requester: &Requester,
) -> Record<'a> {
    Record {
        id,
        at,
        action,
        outcome,
        actor: None,
        target: None,
        client_id: None,
        request_id: bounded(&requester.request_id, MAX_REQUEST_ID),
        ip: requester.ip.to_string(),
        user_agent: requester.user_agent.as_deref().map(|agent| bounded(agent, MAX_AGENT)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(user_agent: &str, request_id: &str) -> Requester {
        Requester {
            request_id: request_id.to_owned(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user_agent: Some(user_agent.to_owned()),
        }
    }

    /// S108: whoever calls cannot write more into a row than there is room for, or what nobody sees.
    #[test]
    fn what_a_caller_chose_is_cut_to_the_table_and_printable() {
        let agent = format!("curl\u{0}\n\u{202e}/8 {}", "\u{e4}".repeat(1000));
        let requester = from(&agent, &"r".repeat(1000));
        let by = Administrator { actor: "local/".repeat(200), requester };
        let node = "n\u{0}".repeat(1000);
        let event = AdminEvent::of_node(&by, AdminAction::StepDown, &node);
        let record = event.record(Uuid::nil(), Timestamp::default());
        let agent = record.user_agent.unwrap();
        assert!(agent.starts_with("curl/8 \u{e4}"), "{agent}");
        assert_eq!((agent.len(), record.request_id.len()), (1023, 256));
        assert_eq!(record.actor.map(|actor| actor.len()), Some(512));
        assert_eq!(record.target, Some("n".repeat(512)));
        let event = AdminEvent::of_node(&by, AdminAction::StepDown, "");
        assert_eq!(event.record(Uuid::nil(), Timestamp::default()).target, None);
    }

    #[test]
    fn a_person_is_named_with_the_tenant() {
        let (requester, tenant) = (from("curl/8", "req-1"), Slug::parse("acme").unwrap());
        let event = Event {
            requester: &requester,
            action: Action::Login,
            outcome: Outcome::Refused("wrong_password"),
            tenant: &tenant,
            actor: Some(UserId(Uuid::nil())),
            target: None,
            client_id: Some("web"),
        };
        let record = event.record(Uuid::max(), Timestamp::from_secs(7));
        assert_eq!(record.actor.as_deref(), Some("acme/00000000-0000-0000-0000-000000000000"));
        assert_eq!((record.action, record.outcome.reason()), ("user.login", Some("wrong_password")));
        assert_eq!((record.client_id, record.ip.as_str()), (Some("web"), "127.0.0.1"));
    }
}
