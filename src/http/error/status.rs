//! The one table code → HTTP status of the problem dialect.

use axum::http::StatusCode;

use crate::service::Code;

/// The status of `code` outside the OAuth dialect. Exhaustive: a new code does not compile without one.
pub fn of(code: Code) -> StatusCode {
    match code {
        Code::MalformedJson
        | Code::InvalidSlug
        | Code::InvalidClientId
        | Code::InvalidParameter
        | Code::InvalidHeader
        | Code::InvalidMailToken
        | Code::InvalidGrant
        | Code::InvalidScope
        | Code::UnauthorizedClient
        | Code::UnsupportedGrantType
        | Code::UnsupportedResponseType
        | Code::InvalidTarget
        | Code::ConsentRequired
        | Code::RequestNotSupported
        | Code::RequestUriNotSupported
        | Code::RegistrationNotSupported => StatusCode::BAD_REQUEST,
        Code::ValidationFailed | Code::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RouteNotFound
        | Code::TenantNotFound
        | Code::ClientNotFound
        | Code::UserNotFound
        | Code::KeyNotFound
        | Code::MemberNotFound
        | Code::SessionNotFound
        | Code::MfaEnrolmentNotFound
        | Code::IssuerModeGlobal => StatusCode::NOT_FOUND,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::EmailTaken
        | Code::MfaNotEnabled
        | Code::ScopeInUse
        | Code::LimitReached
        | Code::RotationPending
        | Code::MemberNotReady
        | Code::MemberLeads
        | Code::QuorumAtRisk
        | Code::NoSuccessor
        | Code::UpgradePending
        | Code::FollowerConflict => StatusCode::CONFLICT,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::TenantDbMissing => StatusCode::NOT_IMPLEMENTED,
        Code::TenantDbError | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::InvalidToken
        | Code::InvalidClient
        | Code::LoginRequired
        | Code::InvalidCredentials
        | Code::InvalidRefreshToken
        | Code::InvalidMfaToken
        | Code::InvalidMfaCode => StatusCode::UNAUTHORIZED,
        Code::Forbidden
        | Code::AccessDenied
        | Code::InsufficientScope
        | Code::AccountDisabled
        | Code::AccountLocked
        | Code::TenantSuspended
        | Code::ClientDisabled
        | Code::ProviderNotAllowed
        | Code::CsrfRefused
        | Code::MfaRequired
        | Code::ReauthenticationRequired => StatusCode::FORBIDDEN,
        Code::NoLeader
        | Code::OutcomeUnknown
        | Code::IndexNotReached
        | Code::ClusterNotFormed
        | Code::StorageUnavailable
        | Code::Busy
        | Code::DeadlineExceeded
        | Code::NodeFailed => StatusCode::SERVICE_UNAVAILABLE,
    }
}
