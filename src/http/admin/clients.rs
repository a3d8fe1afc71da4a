//! EP102-EP104: clients of a tenant.

use std::ops::Bound;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hellojohn_control::documents::Client;
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;

use super::answer::Document;
use super::body::{self, Object};
use super::shown::ShownClient;
use super::tenants::bad_cursor;
use crate::http::ApiResult;
use crate::http::extract::{JsonBody, OptionalJsonBody, Page, PageOf, Query, Segment};
use crate::http::read::{Fresh, set_applied};
use crate::service::audit::Administrator;
use crate::service::control::{ControlService, PutClient};
use crate::service::user_store::UserStores;
use crate::service::{Code, Error, Precondition, WriteContext};

/// Longest search text in characters.
const MAX_SEARCH: usize = 200;

#[derive(Debug, Deserialize)]
pub(super) struct Search {
    /// Part of the client_id or the name, whatever its case.
    q: Option<String>,
}

pub(super) async fn list(
    Fresh(view): Fresh,
    Segment(slug): Segment<Slug>,
    Query(search): Query<Search>,
    page: Page,
) -> ApiResult<Document<PageOf<ShownClient>>> {
    let entry = view.tenant(&slug).ok_or_else(|| Error::new(Code::TenantNotFound))?;
    let q = search.q.unwrap_or_default();
    if q.chars().count() > MAX_SEARCH {
        let detail = format!("q may have at most {MAX_SEARCH} characters");
        return Err(Error::bad_input(Code::InvalidParameter, detail).into());
    }
    let q = q.to_lowercase();
    let matches = |client: &Client| {
        client.client_id.as_str().to_lowercase().contains(&q) || client.name.to_lowercase().contains(&q)
    };
    let after = page.after.as_deref().map(ClientId::parse).transpose().map_err(|_| bad_cursor())?;
    let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let items: Vec<ShownClient> = entry
        .clients
        .range::<_, ClientId>((start, Bound::Unbounded))
        .filter(|(_, client)| matches(client))
        .take(page.limit + 1)
        .map(|(_, client)| client.as_ref().into())
        .collect();
    Ok(Document::list(view.applied_index(), page.answer(items, |client| client.client_id.as_str())))
}

pub(super) async fn get(
    Fresh(view): Fresh,
    Segment(slug): Segment<Slug>,
    Segment(client_id): Segment<ClientId>,
) -> ApiResult<Document<ShownClient>> {
    let entry = view.tenant(&slug).ok_or_else(|| Error::new(Code::TenantNotFound))?;
    let client = entry.clients.get(&client_id).ok_or_else(|| Error::new(Code::ClientNotFound))?;
    Ok(Document::at(view.applied_index(), client.revision, client.as_ref().into()))
}

pub(super) async fn put(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    Segment(client_id): Segment<ClientId>,
    context: WriteContext,
    JsonBody(body): JsonBody<Object>,
) -> ApiResult<Document<ShownClient>> {
    let patch = body::client(body, &client_id)?;
    Ok(shown(control.put_client(&context, &slug, &client_id, patch, &stores).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct HowDeleted {
    /// Leave the client and only revoke its tokens.
    #[serde(default)]
    soft: bool,
}

pub(super) async fn delete(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    Segment(client_id): Segment<ClientId>,
    Query(how): Query<HowDeleted>,
    by: Administrator,
    context: WriteContext,
) -> ApiResult<Response> {
    if how.soft {
        if context.idempotency.is_some() {
            let detail = "?soft=true takes no Idempotency-Key; it may be repeated as it is";
            return Err(Error::bad_input(Code::InvalidHeader, detail).into());
        }
        control.revoke_client_tokens(&by, &slug, &client_id, context.precondition, &stores).await?;
        return Ok(revoked(&control));
    }
    Ok(control.delete_client(&context, &slug, &client_id, &stores).await?.into_response())
}

pub(super) async fn revoke(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    Segment(client_id): Segment<ClientId>,
    by: Administrator,
) -> ApiResult<Response> {
    control.revoke_client_tokens(&by, &slug, &client_id, Precondition::None, &stores).await?;
    Ok(revoked(&control))
}

fn revoked(control: &ControlService) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_applied(response.headers_mut(), control.plane().view().applied_index());
    response
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// Seconds that the present secrets go on working; none unless asked for.
    #[serde(default, alias = "overlapSeconds")]
    overlap_seconds: u32,
}

pub(super) async fn rotate_secret(
    State(control): State<ControlService>,
    Segment(slug): Segment<Slug>,
    Segment(client_id): Segment<ClientId>,
    context: WriteContext,
    OptionalJsonBody(body): OptionalJsonBody<NewSecret>,
) -> ApiResult<Document<ShownClient>> {
    Ok(shown(control.rotate_client_secret(&context, &slug, &client_id, body.overlap_seconds).await?))
}

fn shown(put: PutClient) -> Document<ShownClient> {
    let secret = put.secret.map(|secret| secret.expose().to_owned());
    let body = ShownClient::from(put.client.as_ref()).with_secret(secret);
    Document::at(put.index, put.client.revision, body).created(put.created)
}
