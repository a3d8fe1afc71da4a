use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::http::testing::{edge, request, send};
use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::{Code, Error, FieldError, RateLimit};

/// The rows of the table in docs/http-api.md: code → (appcode, status).
fn documented() -> BTreeMap<String, (u16, u16)> {
    let text = include_str!("../../../docs/http-api.md");
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let code = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            let appcode = cells.get(2)?.parse().ok()?;
            Some((code.to_owned(), (appcode, cells.get(3)?.parse().ok()?)))
        })
        .collect()
}

/// spec §13.10
#[test]
fn the_documented_table_and_the_code_agree() {
    let ours: BTreeMap<String, (u16, u16)> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), (code.appcode(), status::of(*code).as_u16())))
        .collect();
    assert_eq!(documented(), ours);
}

#[test]
fn every_code_has_an_oauth_name_of_the_rfcs() {
    let names = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "invalid_scope",
        "unsupported_grant_type",
        "unsupported_response_type",
        "access_denied",
        "invalid_target",
        "login_required",
        "consent_required",
        "request_not_supported",
        "request_uri_not_supported",
        "registration_not_supported",
        "invalid_token",
        "insufficient_scope",
        "server_error",
        "temporarily_unavailable",
    ];
    for code in Code::ALL {
        let (status, name) = oauth::error_of(*code);
        assert!(names.contains(&name) && (400..600).contains(&status.as_u16()), "{code:?}");
    }
}

async fn answer_at(path: &'static str, error: Error) -> crate::http::testing::Answer {
    let handler = move || {
        let error = error.clone();
        async move { ApiResult::<()>::Err(error.into()) }
    };
    let surface = Surface::<()>::new().route(Verb::Get, path, Plane::User, Auth::Public, handler);
    let router = surface.into_router(&edge(), ()).unwrap();
    send(&router, request("GET", path, &[("x-request-id", "req-1")], "")).await
}

/// spec §5
#[tokio::test]
async fn an_error_is_a_problem_with_code_appcode_and_request_id_and_without_its_context() {
    let error = Error::new(Code::TenantNotFound).context("SELECT secret FROM /var/lib");
    let answer = answer_at("/x", error).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(
        answer.json(),
        serde_json::json!({
            "type": "urn:hellojohn:problem:tenant_not_found",
            "title": "The tenant does not exist",
            "status": 404,
            "detail": "The tenant does not exist",
            "code": "tenant_not_found",
            "appcode": 2001,
            "request_id": "req-1",
        })
    );
}

#[tokio::test]
async fn field_errors_and_the_current_revision_are_in_the_body() {
    let fields = vec![FieldError::new("settings.issuerMode", "unsupported_value", "expected global or path")];
    let answer = answer_at("/x", Error::invalid(fields)).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["errors"][0]["field"], "settings.issuerMode");
    let answer = answer_at("/x", Error::precondition_failed(Some(7))).await;
    assert_eq!((answer.status.as_u16(), answer.json()["current_revision"].as_u64()), (412, Some(7)));
}

#[tokio::test]
async fn retry_after_is_rounded_up_and_present_on_every_503() {
    let answer = answer_at("/x", Error::outcome_unknown(Duration::from_millis(1500))).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("2")));
    let answer = answer_at("/x", Error::new(Code::StorageUnavailable)).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
    let limit = RateLimit { limit: 10, remaining: 0, reset: Duration::from_secs(30) };
    let answer = answer_at("/x", Error::rate_limited(limit)).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, Some("30")));
    assert_eq!(answer.header("ratelimit-limit"), Some("10"));
}

/// RFC 6750 §3
#[tokio::test]
async fn bearer_challenges_tell_absent_from_invalid_and_name_the_scope() {
    let challenge = |answer: crate::http::testing::Answer| {
        answer.header("www-authenticate").map(std::borrow::ToOwned::to_owned)
    };
    let answer = answer_at("/x", Error::no_credentials()).await;
    assert_eq!(challenge(answer).as_deref(), Some("Bearer realm=\"hellojohn\""));
    let answer = answer_at("/x", Error::new(Code::InvalidToken)).await;
    assert_eq!(challenge(answer).as_deref(), Some("Bearer realm=\"hellojohn\", error=\"invalid_token\""));
    let answer = answer_at("/x", Error::insufficient_scope("profile:read")).await;
    assert_eq!(answer.status, 403);
    assert!(challenge(answer).unwrap().contains("scope=\"profile:read\""));
    assert_eq!(challenge(answer_at("/x", Error::new(Code::InvalidCredentials)).await), None);
}

/// spec §5
#[tokio::test]
async fn under_the_oauth_prefixes_errors_have_the_rfc_form() {
    let answer = answer_at("/oauth2/token", Error::new(Code::InvalidRefreshToken)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(
        answer.json(),
        serde_json::json!({"error": "invalid_grant", "error_description": "The refresh token is not valid"})
    );
}
