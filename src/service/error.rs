//! What a use case answers when it refuses: a code, a public text and a private context, kept apart.
//!
//! Knows no HTTP. The edge turns the code into a status and a dialect (`http::error`), logs the context
//! and never sends it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::Code;

/// One field that is not acceptable (`errors` of spec §13.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a dotted path such as `settings.issuerMode` or `redirect_uris[2]`; empty for the body itself.
    pub field: Cow<'static, str>,
    /// Why, in stable snake_case (`required`, `wrong_type`, `unknown_field`, `duplicate_field`, …).
    pub code: Cow<'static, str>,
    /// Why, for people; also the remedy. Public.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// A field error from its three parts.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }
}

/// Where a rate limit stands (`RateLimit-*` headers of spec §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests allowed in a window.
    pub limit: u64,
    /// Requests left in this window.
    pub remaining: u64,
    /// Until the window ends.
    pub reset: Duration,
}

/// What a code carries beyond its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    None,
    /// The fields that are not acceptable.
    Fields(Vec<FieldError>),
    /// The document's present revision, `None` when it does not exist.
    CurrentRevision(Option<u64>),
    /// The node name of the leader. Its address comes from configuration only (S109).
    Leader(String),
    /// When to try again.
    RetryAfter(Duration),
    /// A rate limit that is exhausted.
    RateLimited(RateLimit),
    /// No credentials were sent at all, as opposed to bad ones (RFC 6750 §3.1).
    NoCredentials,
    /// The scope that is missing.
    RequiredScope(String),
}

/// A refusal. Cheap to move; the parts are behind accessors so that nothing private is sent by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    code: Code,
    detail: Option<Cow<'static, str>>,
    context: Option<String>,
    payload: Payload,
}

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal with the code's own title as text: `Error::new(Code::TenantNotFound)`.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts { code, detail: None, context: None, payload: Payload::None }))
    }

    /// The public text of this occurrence. Must hold no secret, SQL or path of this machine (spec §5).
    #[must_use]
    pub fn detail(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(text.into());
        self
    }

    /// What happened, for the log only; never sent. The first (innermost) text comes last.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.context = Some(match self.0.context.take() {
            Some(inner) => format!("{context}: {inner}"),
            None => context.to_string(),
        });
        self
    }

    fn with(code: Code, payload: Payload) -> Self {
        let mut error = Self::new(code);
        error.0.payload = payload;
        error
    }

    /// 422: the body's fields are not acceptable.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::with(Code::ValidationFailed, Payload::Fields(errors))
    }

    /// 422 for a single field.
    pub fn invalid_field(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::invalid(vec![FieldError::new(field, code, message)])
    }

    /// 400: a parameter (or header) outside its grammar. `code` is one of the 1xxx codes.
    pub fn bad_input(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code).detail(detail)
    }

    /// 401: no credentials were sent.
    pub fn no_credentials() -> Self {
        Self::with(Code::InvalidToken, Payload::NoCredentials)
    }

    /// 403: the token lacks `scope`.
    pub fn insufficient_scope(scope: impl Into<String>) -> Self {
        Self::with(Code::InsufficientScope, Payload::RequiredScope(scope.into()))
    }

    /// 412: the document's present revision is `current` (`None`: there is no document).
    pub fn precondition_failed(current: Option<u64>) -> Self {
        Self::with(Code::PreconditionFailed, Payload::CurrentRevision(current))
    }

    /// This node cannot write: 409 or 307 to `leader`, or 503 when none is known (spec §3.3).
    pub fn not_leader(leader: Option<&str>) -> Self {
        match leader {
            Some(name) => Self::with(Code::FollowerConflict, Payload::Leader(name.to_owned())),
            None => Self::no_leader(Duration::from_secs(1)),
        }
    }

    /// 503: no leader, try again after `retry_after`.
    pub fn no_leader(retry_after: Duration) -> Self {
        Self::with(Code::NoLeader, Payload::RetryAfter(retry_after))
    }

    /// 503: the key that is to sign is being made.
    pub fn signing_key_pending() -> Self {
        Self::with(Code::SigningKeyPending, Payload::RetryAfter(Duration::from_secs(1)))
    }

    /// 503: the write may or may not have happened.
    pub fn outcome_unknown(retry_after: Duration) -> Self {
        Self::with(Code::OutcomeUnknown, Payload::RetryAfter(retry_after))
    }

    /// 503: `X-Min-Index` was not reached in time.
    pub fn index_not_reached() -> Self {
        Self::with(Code::IndexNotReached, Payload::RetryAfter(Duration::from_secs(1)))
    }

    /// 503: as much work as this server accepts is in hand.
    pub fn busy(retry_after: Duration) -> Self {
        Self::with(Code::Busy, Payload::RetryAfter(retry_after))
    }

    /// 503: a database does not answer; `context` says which and why, for the log.
    pub fn storage_unavailable(context: impl fmt::Display) -> Self {
        Self::with(Code::StorageUnavailable, Payload::RetryAfter(Duration::from_secs(1))).context(context)
    }

    /// 429: a rate limit is exhausted.
    pub fn rate_limited(limit: RateLimit) -> Self {
        Self::with(Code::TooManyRequests, Payload::RateLimited(limit))
    }

    /// 500: a fault of ours; `context` is logged.
    pub fn internal(context: impl fmt::Display) -> Self {
        Self::new(Code::Internal).context(context)
    }

    /// 503: this node has a fatal fault and is leaving service.
    pub fn fatal(context: impl fmt::Display) -> Self {
        Self::with(Code::NodeFailed, Payload::RetryAfter(Duration::from_secs(1))).context(context)
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The public text: the detail of this occurrence, else the code's title.
    pub fn public_text(&self) -> &str {
        self.0.detail.as_deref().unwrap_or(self.0.code.title())
    }

    /// The private context, for the log.
    pub fn private_context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// What the code carries.
    pub fn payload(&self) -> &Payload {
        &self.0.payload
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Error {
    /// The public part only: a `Display` that ends up in an answer must not carry the context along.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.public_text())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code.as_str())
            .field("detail", &self.0.detail)
            .field("context", &self.0.context)
            .field("payload", &self.0.payload)
            .finish()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_the_public_text_and_never_the_context() {
        let error = Error::internal("password=hunter2 at db.internal").context("login");
        assert_eq!(error.to_string(), "internal: The server failed to answer");
        assert_eq!(error.private_context(), Some("login: password=hunter2 at db.internal"));
    }

    /// spec §3.3
    #[test]
    fn a_follower_that_knows_no_leader_says_no_leader() {
        assert_eq!(Error::not_leader(None).code(), Code::NoLeader);
        assert_eq!(Error::not_leader(Some("node2")).code(), Code::FollowerConflict);
    }
}
