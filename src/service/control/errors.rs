//! The words in which a refusal of the control plane is told to a caller.

use std::time::Duration;

use hellojohn_control::Reject;

use crate::cluster::{ProposeError, SealFailure};
use crate::service::error::FieldError;
use crate::service::{Code, Error};

pub(super) fn refused(error: ProposeError, retry_after: Duration) -> Error {
    match error {
        ProposeError::NotLeader { leader } => Error::not_leader(leader.as_deref()),
        ProposeError::Unavailable => Error::no_leader(retry_after),
        ProposeError::OutcomeUnknown => Error::outcome_unknown(retry_after),
        ProposeError::Fatal(why) => Error::fatal(why),
        ProposeError::Rejected(reject) => rejected(reject),
    }
}

pub(super) fn rejected(reject: Reject) -> Error {
    let text = reject.to_string();
    match reject {
        Reject::TenantNotFound => Error::new(Code::TenantNotFound),
        Reject::ClientNotFound => Error::new(Code::ClientNotFound),
        Reject::KeyNotFound => Error::new(Code::KeyNotFound),
        Reject::PreconditionFailed { current } => Error::precondition_failed(current),
        Reject::Invalid { errors } => Error::invalid(
            errors.into_iter().map(|error| FieldError::new(error.field, error.code, error.message)).collect(),
        ),
        Reject::ScopeInUse { .. } => Error::new(Code::ScopeInUse).detail(text),
        Reject::LimitReached { .. } => Error::new(Code::LimitReached).detail(text),
        Reject::RotationPending { .. } => Error::new(Code::RotationPending).detail(text),
        Reject::IssuerModeGlobal => Error::new(Code::IssuerModeGlobal).detail(
            "the tenant uses the global issuer; set settings.issuerMode to path, or rotate the global keys",
        ),
        Reject::PublicClient => {
            Error::invalid_field("client_type", "public_client", "a public client has no secret")
        }
        Reject::IdempotencyKeyReused => Error::new(Code::IdempotencyKeyReused),
        Reject::NodeNotFound => Error::new(Code::MemberNotFound),
        Reject::NotJoined => Error::new(Code::MemberNotReady).detail(text),
        Reject::UpgradePending { .. } => Error::new(Code::UpgradePending).detail(text),
        Reject::LastVoter => Error::new(Code::QuorumAtRisk).detail(text),
        Reject::KeyNeeded { .. }
        | Reject::NotDue { .. }
        | Reject::AlreadyFormed
        | Reject::ReleaseTooOld { .. }
        | Reject::MembersChanged => Error::internal(text),
    }
}

pub(super) fn unsealable(error: SealFailure) -> Error {
    match error {
        SealFailure::Key(error) => Error::internal(error),
        SealFailure::Secret(error) => Error::invalid_field("settings", "too_long", error.to_string()),
    }
}
