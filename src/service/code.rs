//! The one list of error codes. A code is part of the API: it is never renamed and never reused.
//!
//! `docs/http-api.md` carries the same list for readers; a test of `http::error` compares the two.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $appcode:literal, $title:literal;)*) => {
        /// Why a request was refused. Stable: clients program against [`Code::as_str`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The stable snake_case name (`code` in the answer).
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            /// The stable number (`appcode` in the answer): 1xxx request, 2xxx resources,
            /// 3xxx authentication and authorisation, 4xxx control plane and cluster, 5xxx server.
            pub const fn appcode(self) -> u16 {
                match self { $(Code::$name => $appcode),* }
            }

            /// A short sentence that is the same for every occurrence (`title` of RFC 9457 §3.1.3).
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title),* }
            }
        }
    };
}

codes! {
    /// The body is not JSON, nests too deep or repeats a key.
    MalformedJson = "malformed_json", 1001, "The body is not well-formed JSON";
    /// The body is JSON, but its fields are not acceptable; `errors` names each.
    ValidationFailed = "validation_failed", 1002, "One or more fields are not acceptable";
    /// A tenant slug in the path is outside the grammar of spec §2.1.
    InvalidSlug = "invalid_slug", 1003, "The tenant slug is not well-formed";
    /// A client_id in the path is outside the grammar of spec §2.1.
    InvalidClientId = "invalid_client_id", 1004, "The client_id is not well-formed";
    /// A query parameter or another path identifier is not well-formed.
    InvalidParameter = "invalid_parameter", 1005, "A parameter is not well-formed";
    /// A header the request carries is not well-formed (`If-Match`, `X-Min-Index`, …).
    InvalidHeader = "invalid_header", 1006, "A header is not well-formed";
    /// The body is longer than the limit of this server.
    BodyTooLarge = "body_too_large", 1007, "The body is too large";
    /// The route insists on `Content-Type: application/json`.
    UnsupportedMediaType = "unsupported_media_type", 1008, "The content type is not supported here";
    /// The path exists, but not with this method; `Allow` lists the methods.
    MethodNotAllowed = "method_not_allowed", 1009, "The method is not allowed here";
    /// No route has this path.
    RouteNotFound = "route_not_found", 1010, "There is nothing at this path";
    /// A rate limit is exhausted.
    TooManyRequests = "too_many_requests", 1011, "Too many requests";
    /// The client took too long to send the body.
    RequestTimeout = "request_timeout", 1012, "The request was not sent in time";
    /// The `Idempotency-Key` came with another body before (spec §13.5).
    IdempotencyKeyReused = "idempotency_key_reused", 1013, "The idempotency key was used for another request";

    /// No tenant has this slug.
    TenantNotFound = "tenant_not_found", 2001, "The tenant does not exist";
    /// The tenant has no client of this client_id.
    ClientNotFound = "client_not_found", 2002, "The client does not exist";
    /// The user does not exist in this tenant.
    UserNotFound = "user_not_found", 2003, "The user does not exist";
    /// The tenant uses the global issuer and has no discovery document of its own (spec §13.7).
    IssuerModeGlobal = "issuer_mode_global", 2004, "The tenant uses the global issuer";
    /// The e-mail address is taken in this tenant.
    EmailTaken = "email_taken", 2005, "The e-mail address is already registered";
    /// A scope that would be removed is used by an active consent or a client.
    ScopeInUse = "scope_in_use", 2006, "A scope that would be removed is in use";
    /// `If-Match` or `If-None-Match` does not fit the document's present revision.
    PreconditionFailed = "precondition_failed", 2007, "The document has changed";
    /// The key set has no such signing key.
    KeyNotFound = "key_not_found", 2008, "The signing key does not exist";
    /// There are as many documents of this kind as there may be.
    LimitReached = "limit_reached", 2009, "The limit of such documents is reached";
    /// A key of the same set and algorithm is still waiting to become active.
    RotationPending = "rotation_pending", 2010, "An earlier rotation has not finished";
    /// The cluster has no member of this name.
    MemberNotFound = "member_not_found", 2011, "The node is no member of the cluster";
    /// The account has no such session, or it is over.
    SessionNotFound = "session_not_found", 2012, "The session does not exist";
    /// The account has no second factor.
    MfaNotEnabled = "mfa_not_enabled", 2061, "The account has no second factor";
    /// No secret waits for its first code: there was none, it waited too long, or too many wrong codes came.
    MfaEnrolmentNotFound = "mfa_enrolment_not_found", 2062, "There is no enrolment to verify";
    /// The tenant has no database of its own.
    TenantDbMissing = "tenant_db_missing", 2601, "The tenant has no user database of its own";
    /// The tenant's database refuses or does not answer.
    TenantDbError = "tenant_db_error", 2602, "The tenant's user database failed";

    /// The bearer token is absent, malformed, expired, revoked or of the wrong kind.
    InvalidToken = "invalid_token", 3001, "A valid access token is needed";
    /// Unknown user, wrong password or locked account: one answer for all (S60).
    InvalidCredentials = "invalid_credentials", 3002, "The credentials are not valid";
    /// The refresh token is unknown, expired, revoked or used before.
    InvalidRefreshToken = "invalid_refresh_token", 3003, "The refresh token is not valid";
    /// The caller is known but may not do this.
    Forbidden = "forbidden", 3004, "Not allowed";
    /// The token lacks a scope that the route needs.
    InsufficientScope = "insufficient_scope", 3005, "The token lacks a required scope";
    /// The account is disabled; told only after the right password.
    AccountDisabled = "account_disabled", 3006, "The account is disabled";
    /// The account is locked for a while; told only after the right password.
    AccountLocked = "account_locked", 3007, "The account is locked";
    /// The tenant is suspended.
    TenantSuspended = "tenant_suspended", 3008, "The tenant is suspended";
    /// The client is disabled.
    ClientDisabled = "client_disabled", 3009, "The client is disabled";
    /// The client does not allow this way of logging in.
    ProviderNotAllowed = "provider_not_allowed", 3010, "The client does not allow this way of logging in";
    /// A page of another site sent a request that a cookie would speak for (S78).
    CsrfRefused = "csrf_refused", 3020, "The request comes from another site";
    /// The token of a mailed link is unknown, expired, used, replaced by a newer one or for something else.
    InvalidMailToken = "invalid_mail_token", 3030, "The link is not valid any more";

    /// The client has not proven who it is (RFC 6749 §5.2).
    InvalidClient = "invalid_client", 3041, "The client is not known or has not proven who it is";
    /// The code is unknown, expired, used or for something else (RFC 6749 §5.2).
    InvalidGrant = "invalid_grant", 3042, "The grant is not valid";
    /// A scope is malformed, or more than the client may have (RFC 6749 §4.1.2.1).
    InvalidScope = "invalid_scope", 3043, "The scope is not one that the client may have";
    /// The client may not use this grant (RFC 6749 §5.2).
    UnauthorizedClient = "unauthorized_client", 3044, "The client may not use this grant";
    /// There is no such grant here (RFC 6749 §5.2).
    UnsupportedGrantType = "unsupported_grant_type", 3045, "The grant type is not supported";
    /// There is no such response here (RFC 6749 §4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type", 3046, "The response type is not supported";
    /// A resource is malformed, or not one that the client may ask for (RFC 8707 §2).
    InvalidTarget = "invalid_target", 3047, "The resource is not one that the client may ask for";
    /// The person said no (RFC 6749 §4.1.2.1).
    AccessDenied = "access_denied", 3048, "The person does not let the client in";
    /// Nobody is logged in, and nobody may be asked (OpenID Connect Core §3.1.2.6).
    LoginRequired = "login_required", 3049, "Somebody must log in";
    /// The person has not consented, and may not be asked (OpenID Connect Core §3.1.2.6).
    ConsentRequired = "consent_required", 3050, "The person must consent";
    /// Request objects are not taken (OpenID Connect Core §3.1.2.6).
    RequestNotSupported = "request_not_supported", 3051, "Request objects are not supported";
    /// Request objects are not fetched (OpenID Connect Core §3.1.2.6).
    RequestUriNotSupported = "request_uri_not_supported", 3052, "Request URIs are not supported";
    /// Clients do not register themselves (OpenID Connect Core §3.1.2.6).
    RegistrationNotSupported = "registration_not_supported", 3053, "Registration by a request is not supported";

    /// The token of a half login is unknown, expired, used, or dead after a change of the password or too many wrong codes.
    InvalidMfaToken = "invalid_mfa_token", 3061, "The login must be begun anew";
    /// The code is not valid, or was used before: one answer for all.
    InvalidMfaCode = "invalid_mfa_code", 3062, "The code is not valid";
    /// The account has a second factor, this session was started without it, and the request needs it.
    MfaRequired = "mfa_required", 3063, "A second factor is needed";
    /// The login is too long ago for this, or the account has a second factor already; the detail says what to send.
    ReauthenticationRequired = "reauthentication_required", 3064, "The identity must be proven again";

    /// This node is a follower; control-plane writes go to the leader (spec §3.3).
    FollowerConflict = "follower_conflict", 4001, "This node is not the leader";
    /// No leader is known, or the leader cannot reach a quorum.
    NoLeader = "no_leader", 4002, "The cluster has no leader at the moment";
    /// The write was proposed, but whether it was committed is not known.
    OutcomeUnknown = "outcome_unknown", 4003, "The outcome of the write is unknown";
    /// The node did not reach the index of `X-Min-Index` in time.
    IndexNotReached = "index_not_reached", 4004, "This node has not applied that index yet";
    /// The cluster has not been formed yet.
    ClusterNotFormed = "cluster_not_formed", 4005, "The cluster has not formed yet";
    /// The members cannot be changed like this now; the detail says what is missing.
    MemberNotReady = "member_not_ready", 4006, "The members cannot be changed like this now";
    /// The member leads the cluster and must hand over before it is removed.
    MemberLeads = "member_leads", 4007, "The member leads the cluster";
    /// Without the member the cluster would have no voter, or no quorum that answers.
    QuorumAtRisk = "quorum_at_risk", 4008, "The cluster would lose its quorum";
    /// Nobody can take over from the leader now.
    NoSuccessor = "no_successor", 4009, "Nobody can take over";
    /// Some member runs a release that could not read the change; it can be made once every node is upgraded.
    UpgradePending = "upgrade_pending", 4010, "Not every node is upgraded yet";

    /// A fault of this server; the details are in its log under the request id.
    Internal = "internal", 5001, "The server failed to answer";
    /// A database that this request needs does not answer.
    StorageUnavailable = "storage_unavailable", 5002, "The storage does not answer";
    /// The server has as much work as it accepts.
    Busy = "busy", 5003, "The server is busy";
    /// The server did not finish in the time it allows itself.
    DeadlineExceeded = "deadline_exceeded", 5004, "The server did not finish in time";
    /// This node has a fatal fault and is leaving service; another node can answer.
    NodeFailed = "node_failed", 5005, "This node is leaving service";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_well_formed() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let numbers: BTreeSet<_> = Code::ALL.iter().map(|code| code.appcode()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert_eq!(numbers.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code:?}");
            assert!((1000..6000).contains(&code.appcode()), "{code:?}");
        }
    }

    /// spec §13.10
    #[test]
    fn the_two_fixed_numbers_are_kept() {
        assert_eq!(Code::TenantDbMissing.appcode(), 2601);
        assert_eq!(Code::TenantDbError.appcode(), 2602);
    }
}
