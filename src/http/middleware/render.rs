//! Writes the bodies of errors and the headers that every answer has. The one place where a
//! `service::Error` becomes bytes, and where "not the leader" becomes 409 or 307.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{limit, security_headers};
use crate::http::edge::Edge;
use crate::http::error::leader::{Asked, FollowerAnswer, follower_answer};
use crate::http::error::{ApiError, oauth, problem, status};
use crate::http::extract::ClientInfo;
use crate::http::request_id::RequestId;
use crate::service::{Code, Error, Payload};

const LEADER: HeaderName = HeaderName::from_static("x-leader");
const LEADER_URL: HeaderName = HeaderName::from_static("x-leader-url");
const LEADER_REDIRECT: HeaderName = HeaderName::from_static("x-leader-redirect");

/// What an error's answer depends on besides the error.
struct Asker {
    uri: Uri,
    leader_redirect: Option<HeaderValue>,
    secure: bool,
    request_id: RequestId,
    /// Whether a refusal may leave a part of the body on the connection, which then has to end.
    ends_connection: bool,
}

/// Bodies up to this size have arrived with their head or right behind it.
const SMALL_BODY: u64 = 16 * 1024;

/// Whether the body may still be on its way when the request is refused. On HTTP/1 the connection cannot be
/// used again then (RFC 9112 §9.6), and a client that is not told so sends its next request into the void.
fn may_leave_body(request: &Request) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let large = length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|bytes| bytes > SMALL_BODY);
    request.version() < Version::HTTP_2
        && (large || request.headers().contains_key(header::TRANSFER_ENCODING))
}

pub(in crate::http) async fn render(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let asker = Asker {
        uri: request.uri().clone(),
        leader_redirect: request.headers().get(LEADER_REDIRECT).cloned(),
        secure: edge.settings().public_https || ClientInfo::of(request.extensions()).https,
        request_id: RequestId::of(request.extensions()),
        ends_connection: may_leave_body(&request),
    };
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        log(error.service());
        write(&mut response, error.service(), &asker, &edge);
        // For whoever passes the answer on.
        response.extensions_mut().insert(error.service().code());
    }
    let headers = response.headers_mut();
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    security_headers::add(headers, edge.settings().public_https);
    response
}

/// The context goes to the log and nowhere else. `?` escapes line breaks that a caller may have planted.
pub(in crate::http) fn log(error: &Error) {
    let (code, context) = (error.code().as_str(), error.private_context());
    match error.code() {
        // States that the node tells of itself, and that every check of a load balancer meets.
        Code::ClusterNotFormed | Code::NoLeader => tracing::warn!(code, ?context, "request failed"),
        known if status::of(known).is_server_error() => tracing::error!(code, ?context, "request failed"),
        _ => tracing::debug!(code, ?context, "request refused"),
    }
}

fn write(response: &mut Response, error: &Error, asker: &Asker, edge: &Edge) {
    let path = asker.uri.path();
    let oauth_dialect = oauth::speaks_at(path);
    let mut answer = if oauth_dialect { oauth::error_of(error.code()).0 } else { status::of(error.code()) };
    let headers = response.headers_mut();
    match error.payload() {
        Payload::Leader(name) => answer = write_leader(headers, name, asker, edge).unwrap_or(answer),
        Payload::RetryAfter(after) => set_number(headers, header::RETRY_AFTER, seconds(*after)),
        Payload::RateLimited(standing) => {
            set_number(headers, header::RETRY_AFTER, seconds(standing.reset));
            limit::tell(headers, standing);
        }
        Payload::None
        | Payload::Fields(_)
        | Payload::CurrentRevision(_)
        | Payload::NoCredentials
        | Payload::RequiredScope(_) => {}
    }
    if asker.ends_connection {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if answer == StatusCode::SERVICE_UNAVAILABLE && !headers.contains_key(header::RETRY_AFTER) {
        set_number(headers, header::RETRY_AFTER, 1);
    }
    if let Some(challenge) = challenge(error, oauth_dialect) {
        set_text(headers, header::WWW_AUTHENTICATE, &challenge);
    }
    let (media_type, body) = if oauth_dialect {
        ("application/json", oauth::body(error))
    } else {
        (problem::MEDIA_TYPE, problem::body(error, answer.as_u16(), asker.request_id.as_str()))
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.remove(header::CONTENT_LENGTH);
    *response.status_mut() = answer;
    *response.body_mut() = Body::from(body);
}

/// Maps "the leader is `name`" by the one mapper; 307 when it redirects, `None` for the plain 409.
fn write_leader(headers: &mut HeaderMap, name: &str, asker: &Asker, edge: &Edge) -> Option<StatusCode> {
    set_text(headers, LEADER, name);
    let asked = Asked {
        path: asker.uri.path(),
        query: asker.uri.query(),
        header: asker.leader_redirect.as_ref().and_then(|value| value.to_str().ok()),
        secure: asker.secure,
    };
    match follower_answer(&edge.settings().redirects, name, &asked) {
        FollowerAnswer::Conflict { url } => {
            if let Some(url) = url {
                set_text(headers, LEADER_URL, &url);
            }
            None
        }
        FollowerAnswer::Redirect { url, location } => {
            set_text(headers, LEADER_URL, &url);
            set_text(headers, header::LOCATION, &location);
            Some(StatusCode::TEMPORARY_REDIRECT)
        }
    }
}

/// The bearer challenge of RFC 6750 §3, and that of clients; other 401s are answers to credentials in a body and have none.
fn challenge(error: &Error, oauth: bool) -> Option<String> {
    const REALM: &str = "Bearer realm=\"hellojohn\"";
    const BASIC: &str = "Basic realm=\"hellojohn\", charset=\"UTF-8\"";
    match (error.code(), error.payload()) {
        (Code::InvalidToken, Payload::NoCredentials) => Some(REALM.to_owned()),
        (Code::InvalidToken, _) => Some(format!("{REALM}, error=\"invalid_token\"")),
        (Code::InsufficientScope, Payload::RequiredScope(scope)) => {
            Some(format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\""))
        }
        // A 401 names a way to authenticate (RFC 6749 §5.2); of those that a client may use this is the one of a header.
        (Code::InvalidClient | Code::ClientDisabled, _) if oauth => Some(BASIC.to_owned()),
        _ => None,
    }
}

/// Whole seconds, rounded up, so that a caller who obeys is never early.
pub(super) fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn set_number(headers: &mut HeaderMap, name: HeaderName, value: u64) {
    headers.insert(name, HeaderValue::from(value));
}

/// Leaves the header out when the text cannot be one.
fn set_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
