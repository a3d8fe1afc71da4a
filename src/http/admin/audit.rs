//! GET /v1/admin/audit (EP132): security events, newest first. User plane: every node answers.

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use hellojohn_control::{Slug, Timestamp};
use serde::de::IntoDeserializer as _;
use serde::{Deserialize as _, Serialize};

use crate::domain::audit::SYSTEM;
use crate::http::extract::{Page, Query};
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::audit::{AuditSearch, TenantName};
use crate::service::user_store::UserStores;
use crate::service::{Code, Error};
use crate::store::pg::audit::{AuditQuery, KeptEvent};

/// Longest text to look for, in bytes: as long as an actor.
const MAX_TEXT: usize = 512;
/// Most characters of an unknown parameter's name that are repeated.
const MAX_NAME: usize = 64;

/// The route.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    UserStores: FromRef<S>,
{
    Surface::new().route(Verb::Get, "/v1/admin/audit", Plane::User, Auth::Admin, list)
}

#[derive(Serialize)]
struct Item {
    id: uuid::Uuid,
    at: Timestamp,
    tenant_id: String,
    action: String,
    outcome: String,
    reason: Option<String>,
    actor: Option<String>,
    target: Option<String>,
    client_id: Option<String>,
    request_id: String,
    ip: Option<String>,
    user_agent: Option<String>,
    /// Number of a write of the control plane.
    seq: Option<i64>,
    /// What chains it to the write before, in hex.
    hash: Option<String>,
    #[serde(skip)]
    place: String,
}

impl From<KeptEvent> for Item {
    fn from(event: KeptEvent) -> Self {
        let (seq, hash) = event.chain.unzip();
        Self {
            id: event.id,
            at: event.at,
            tenant_id: event.tenant,
            action: event.action,
            outcome: event.outcome,
            reason: event.reason,
            actor: event.actor,
            target: event.target,
            client_id: event.client_id,
            request_id: event.request_id,
            ip: event.ip,
            user_agent: event.user_agent,
            seq,
            hash: hash.map(|hash| data_encoding::HEXLOWER.encode(&hash)),
            place: event.place.to_string(),
        }
    }
}

async fn list(
    State(stores): State<UserStores>,
    Query(parameters): Query<Vec<(String, String)>>,
    page: Page,
) -> ApiResult<Response> {
    let after = page.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| bad("cursor is not one that this API gave"))?;
    let events = stores.events(&search(&parameters)?, after, page.limit + 1).await?;
    let items = events.into_iter().map(Item::from).collect();
    Ok(Json(page.answer(items, |item: &Item| &item.place)).into_response())
}

/// An empty value is none, as elsewhere.
fn search(parameters: &[(String, String)]) -> Result<AuditSearch, Error> {
    let mut search = AuditSearch::default();
    let AuditQuery { actor, action, target, outcome, from, to } = &mut search.query;
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            // Read as a page.
            "limit" | "cursor" => {}
            "tenant_id" | "tenantId" => once(name, &mut search.tenant, tenant(value)?)?,
            "actor" => once(name, actor, text(name, value)?)?,
            "action" => once(name, action, text(name, value)?)?,
            "target" => once(name, target, text(name, value)?)?,
            "outcome" => once(name, outcome, ended(value)?)?,
            "from" => once(name, from, moment(name, value)?)?,
            "to" => once(name, to, moment(name, value)?)?,
            unknown => return Err(bad(format!("{} is not a parameter of this list", shown(unknown)))),
        }
    }
    Ok(search)
}

fn once<T>(name: &str, field: &mut Option<T>, value: T) -> Result<(), Error> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(bad(format!("{name} is given twice"))),
    }
}

fn tenant(value: &str) -> Result<TenantName, Error> {
    if value == SYSTEM {
        return Ok(TenantName::System);
    }
    let slug = Slug::parse(value).map_err(|error| Error::bad_input(Code::InvalidSlug, error.to_string()))?;
    Ok(TenantName::Tenant(slug))
}

fn text(name: &str, value: &str) -> Result<String, Error> {
    if value.len() > MAX_TEXT || value.chars().any(char::is_control) {
        return Err(bad(format!("{name} must be at most {MAX_TEXT} bytes without control characters")));
    }
    Ok(value.to_owned())
}

fn ended(value: &str) -> Result<&'static str, Error> {
    match value {
        "ok" => Ok("ok"),
        "refused" => Ok("refused"),
        _ => Err(bad("outcome must be ok or refused")),
    }
}

fn moment(name: &str, value: &str) -> Result<Timestamp, Error> {
    let read: Result<Timestamp, serde::de::value::Error> =
        Timestamp::deserialize(value.to_owned().into_deserializer());
    read.map_err(|_| {
        bad(format!("{name} must be a time as in 2026-11-23T21:00:00Z (RFC 3339), with + written as %2B"))
    })
}

fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_NAME).collect()
}

fn bad(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::bad_input(Code::InvalidParameter, detail)
}
