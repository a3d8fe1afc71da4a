//! The error form of RFC 6749 §5.2 and RFC 6750 §3: the dialect of `/oauth2` and `/userinfo` (spec §5).

use axum::http::StatusCode;
use serde::Serialize;

use crate::http::error::status;
use crate::service::{Code, Error};

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
}

/// Whether answers under `path` speak this dialect, at the root or under `/t/{slug}`.
pub fn speaks_at(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    let first = match segments.next() {
        Some("t") => segments.nth(1),
        other => other,
    };
    matches!(first, Some("oauth2" | "userinfo"))
}

/// The RFC's error name for `code` and the status it is sent with. Exhaustive on purpose.
pub fn error_of(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::MalformedJson
        | Code::ValidationFailed
        | Code::IdempotencyKeyReused
        | Code::InvalidSlug
        | Code::InvalidClientId
        | Code::InvalidParameter
        | Code::InvalidHeader
        | Code::InvalidMailToken
        | Code::TenantNotFound
        | Code::ClientNotFound
        | Code::UserNotFound
        | Code::IssuerModeGlobal
        | Code::EmailTaken
        | Code::ScopeInUse
        | Code::KeyNotFound
        | Code::MemberNotFound
        | Code::SessionNotFound
        | Code::MfaNotEnabled
        | Code::MfaEnrolmentNotFound
        | Code::LimitReached
        | Code::RotationPending
        | Code::MemberNotReady
        | Code::MemberLeads
        | Code::QuorumAtRisk
        | Code::NoSuccessor
        | Code::UpgradePending
        | Code::PreconditionFailed
        | Code::CsrfRefused => (StatusCode::BAD_REQUEST, "invalid_request"),
        Code::BodyTooLarge
        | Code::UnsupportedMediaType
        | Code::MethodNotAllowed
        | Code::RouteNotFound
        | Code::RequestTimeout => (status::of(code), "invalid_request"),
        Code::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
        Code::InsufficientScope => (StatusCode::FORBIDDEN, "insufficient_scope"),
        Code::InvalidCredentials
        | Code::InvalidRefreshToken
        | Code::InvalidMfaToken
        | Code::InvalidMfaCode
        | Code::MfaRequired
        | Code::ReauthenticationRequired
        | Code::AccountDisabled
        | Code::AccountLocked
        | Code::TenantSuspended => (StatusCode::BAD_REQUEST, "invalid_grant"),
        Code::Forbidden | Code::ProviderNotAllowed => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        Code::ClientDisabled | Code::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Code::LoginRequired => (StatusCode::UNAUTHORIZED, "login_required"),
        Code::InvalidGrant
        | Code::InvalidScope
        | Code::UnauthorizedClient
        | Code::UnsupportedGrantType
        | Code::UnsupportedResponseType
        | Code::InvalidTarget
        | Code::AccessDenied
        | Code::ConsentRequired
        | Code::RequestNotSupported
        | Code::RequestUriNotSupported
        | Code::RegistrationNotSupported => (StatusCode::BAD_REQUEST, code.as_str()),
        Code::TooManyRequests
        | Code::FollowerConflict
        | Code::NoLeader
        | Code::OutcomeUnknown
        | Code::IndexNotReached
        | Code::ClusterNotFormed
        | Code::StorageUnavailable
        | Code::Busy
        | Code::DeadlineExceeded
        | Code::NodeFailed => (status::of(code), "temporarily_unavailable"),
        Code::TenantDbMissing | Code::TenantDbError | Code::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "server_error")
        }
    }
}

/// The JSON body for `error`.
pub fn body(error: &Error) -> Vec<u8> {
    let description = described(error);
    let body = Body { error: error_of(error.code()).1, error_description: &description };
    // Strings only: serialisation cannot fail, and an empty body is the safe answer if it did.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The public text in the characters that an `error_description` may have (RFC 6749 §5.2).
pub fn described(error: &Error) -> String {
    let allowed = |character: char| match character {
        '"' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    };
    error.public_text().chars().map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oauth_prefixes_speak_this_dialect() {
        for yes in ["/oauth2/token", "/oauth2", "/userinfo", "/t/acme/oauth2/token", "/t/acme/userinfo"] {
            assert!(speaks_at(yes), "{yes}");
        }
        for no in ["/v1/admin/oauth2", "/oauth2x", "/t/oauth2", "/t/oauth2/x", "/", "", "/.well-known/x"] {
            assert!(!speaks_at(no), "{no}");
        }
    }
}
