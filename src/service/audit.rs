//! Security events as JSON log lines (spec §10): who did what to whom, from where, with which outcome.
//!
//! Written through `tracing` under the target `audit`, at level info. Must never be handed a
//! password, a token or an e-mail address: a person is named by the account's id, and somebody who is nobody
//! here by nothing at all.

use std::net::IpAddr;

use hellojohn_control::Slug;
use uuid::Uuid;

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

/// What was done or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Somebody registered.
    Register,
    /// Somebody logged in.
    Login,
    /// A refresh token was exchanged.
    Refresh,
    /// A refresh token was used again after its successor; its family is revoked (S32).
    TokenReuse,
    /// Somebody logged out.
    Logout,
    /// Somebody logged out everywhere.
    LogoutAll,
    /// Somebody ended one of their sessions.
    EndSession,
    /// Somebody edited their account.
    EditProfile,
    /// Somebody changed their password.
    ChangePassword,
    /// Somebody deleted their account.
    DeleteAccount,
    /// A login got through its first half and waits for the second.
    MfaRequired,
    /// The second half of a login was tried.
    MfaChallenge,
    /// Somebody was shown a new TOTP secret.
    MfaEnrol,
    /// Somebody showed that their authenticator has it: it is asked for from now on.
    MfaEnable,
    /// Somebody removed their second factor.
    MfaDisable,
    /// Somebody was shown new recovery codes; the old ones are worthless.
    RotateRecoveryCodes,
    /// A recovery code was used up.
    UseRecoveryCode,
    /// Somebody trusted a device.
    TrustDevice,
    /// A login was not asked for its second half because of a trusted device.
    UseTrustedDevice,
    /// Somebody asked for a link that verifies an address.
    StartVerification,
    /// An address was verified by its link.
    VerifyEmail,
    /// Somebody asked for a link that sets a new password.
    Forgot,
    /// A password was set by such a link.
    ResetPassword,
}

impl Action {
    /// The stable name in the log and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "user.register",
            Self::Login => "user.login",
            Self::Refresh => "token.refresh",
            Self::TokenReuse => "token.reuse",
            Self::Logout => "user.logout",
            Self::LogoutAll => "user.logout_all",
            Self::EndSession => "user.session_end",
            Self::EditProfile => "user.edit",
            Self::ChangePassword => "user.password_change",
            Self::DeleteAccount => "user.delete",
            Self::MfaRequired => "mfa.required",
            Self::MfaChallenge => "mfa.challenge",
            Self::MfaEnrol => "mfa.enrol",
            Self::MfaEnable => "mfa.enable",
            Self::MfaDisable => "mfa.disable",
            Self::RotateRecoveryCodes => "mfa.recovery_rotate",
            Self::UseRecoveryCode => "mfa.recovery_use",
            Self::TrustDevice => "mfa.device_trust",
            Self::UseTrustedDevice => "mfa.device_use",
            Self::StartVerification => "user.verify_start",
            Self::VerifyEmail => "user.verify_email",
            Self::Forgot => "user.forgot",
            Self::ResetPassword => "user.password_reset",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// Refused, for this stable reason. Tells more than the answer did: the log is the operator's.
    Refused(&'static str),
}

/// One security event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
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

/// Writes the event and counts it.
pub fn record(requester: &Requester, event: &Event<'_>) {
    let (outcome, reason) = match event.outcome {
        Outcome::Ok => ("ok", None),
        Outcome::Refused(reason) => ("refused", Some(reason)),
    };
    metrics::counter!("hellojohn_auth_events_total", "action" => event.action.as_str(), "outcome" => outcome)
        .increment(1);
    tracing::info!(
        target: "audit",
        action = event.action.as_str(),
        outcome,
        reason,
        tenant = event.tenant.as_str(),
        actor = event.actor.map(tracing::field::display),
        // The log line's own `target` is the name of this kind of lines.
        object = event.target.map(tracing::field::display),
        client_id = event.client_id,
        ip = %requester.ip,
        user_agent = requester.user_agent,
        request_id = requester.request_id,
        "security event"
    );
}

/// An administrator who asks for something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// Tenant and subject of the token, as in the envelopes of control-plane writes.
    pub actor: String,
    /// Where the request comes from.
    pub requester: Requester,
}

/// Writes down what an administrator did to a tenant outside the replicated log; what goes through the log is
/// recorded with it (S113). `object` names the client that it was done to, if it was one.
pub fn record_admin<T>(
    by: &Administrator,
    action: &'static str,
    tenant: &Slug,
    object: Option<&str>,
    result: &super::Result<T>,
) {
    let (outcome, reason) = told(result);
    tracing::info!(
        target: "audit",
        action,
        outcome,
        reason,
        tenant = tenant.as_str(),
        actor = by.actor,
        object,
        ip = %by.requester.ip,
        user_agent = by.requester.user_agent,
        request_id = by.requester.request_id,
        "administrative action"
    );
}

/// How it ended. A failed change of the leader or of a database may have happened all the same; the code says so.
fn told<T>(result: &super::Result<T>) -> (&'static str, Option<&'static str>) {
    match result {
        Ok(_) => ("ok", None),
        Err(error) => ("refused", Some(error.code().as_str())),
    }
}

/// Writes down what an administrator did to a node, outside the replicated log.
pub fn record_node<T>(by: &Administrator, action: &'static str, node: &str, result: &super::Result<T>) {
    let (outcome, reason) = told(result);
    tracing::info!(
        target: "audit",
        action,
        outcome,
        reason,
        actor = by.actor,
        object = node,
        ip = %by.requester.ip,
        user_agent = by.requester.user_agent,
        request_id = by.requester.request_id,
        "administrative action"
    );
}
