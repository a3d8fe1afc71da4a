//! What people let clients have (EP120-EP124). User plane: every node answers.

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hellojohn_control::{ClientId, ScopeName, Slug, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::consent::Consent;
use crate::domain::user::UserId;
use crate::http::extract::{InTenant, JsonBody, Page, Query, Segment};
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::account::{AccountService, Pair};
use crate::service::audit::Administrator;
use crate::service::{Code, Error};

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    use Auth::Admin;
    use Plane::User;
    use Verb::{Delete, Get, Post};
    Surface::new()
        .route(Post, "/v1/admin/consents/upsert", User, Admin, upsert)
        .route(Get, "/v1/admin/consents", User, Admin, list)
        .route(Get, "/v1/admin/consents/by-user/{user_id}", User, Admin, of_user)
        .route(Post, "/v1/admin/consents/revoke", User, Admin, revoke)
        .route(Delete, "/v1/admin/consents/{user_id}/{client_id}", User, Admin, delete)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairBody {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    #[serde(alias = "userId")]
    user_id: UserId,
    #[serde(alias = "clientId")]
    client_id: ClientId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpsertBody {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    #[serde(alias = "userId")]
    user_id: UserId,
    #[serde(alias = "clientId")]
    client_id: ClientId,
    scopes: Vec<ScopeName>,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(alias = "clientId")]
    client_id: Option<String>,
}

#[derive(Serialize)]
struct ConsentBody {
    user_id: UserId,
    client_id: ClientId,
    scopes: Vec<ScopeName>,
    granted_at: Timestamp,
    updated_at: Timestamp,
    revoked_at: Option<Timestamp>,
    #[serde(skip)]
    place: String,
}

#[derive(Serialize)]
struct Answer {
    consent: ConsentBody,
}

impl From<Consent> for ConsentBody {
    fn from(consent: Consent) -> Self {
        Self {
            place: format!("{}/{}", consent.user_id, consent.client_uuid),
            user_id: consent.user_id,
            client_id: consent.client_id,
            scopes: consent.scopes,
            granted_at: consent.granted_at,
            updated_at: consent.updated_at,
            revoked_at: consent.revoked_at,
        }
    }
}

/// The consent after which a page begins.
fn after(page: &Page) -> ApiResult<Option<(UserId, Uuid)>> {
    let Some(place) = page.after.as_deref() else { return Ok(None) };
    let parsed =
        place.split_once('/').and_then(|(user, client)| Some((user.parse().ok()?, client.parse().ok()?)));
    let bad = || Error::bad_input(Code::InvalidParameter, "cursor is not one that this API gave");
    Ok(Some(parsed.ok_or_else(bad)?))
}

fn answer(page: &Page, consents: Vec<Consent>) -> Response {
    let items = consents.into_iter().map(ConsentBody::from).collect();
    Json(page.answer(items, |item: &ConsentBody| &item.place)).into_response()
}

async fn upsert(
    State(accounts): State<AccountService>,
    by: Administrator,
    JsonBody(body): JsonBody<UpsertBody>,
) -> ApiResult<Response> {
    let pair = Pair { tenant: body.tenant_id, user: body.user_id, client_id: body.client_id };
    let consent = accounts.upsert_consent(&by, &pair, &body.scopes).await?.into();
    Ok(Json(Answer { consent }).into_response())
}

async fn list(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Query(filter): Query<Filter>,
    page: Page,
) -> ApiResult<Response> {
    let client_id = filter.client_id.as_deref().map(ClientId::parse).transpose();
    let client_id = client_id.map_err(|error| Error::bad_input(Code::InvalidClientId, error.to_string()))?;
    let after = after(&page)?;
    let consents = accounts.consents(&tenant, client_id.as_ref(), after, page.limit + 1).await?;
    Ok(answer(&page, consents))
}

async fn of_user(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(user): Segment<UserId>,
    page: Page,
) -> ApiResult<Response> {
    let consents = accounts.consents_of_user(&tenant, user, after(&page)?, page.limit + 1).await?;
    Ok(answer(&page, consents))
}

async fn revoke(
    State(accounts): State<AccountService>,
    by: Administrator,
    JsonBody(body): JsonBody<PairBody>,
) -> ApiResult<StatusCode> {
    let pair = Pair { tenant: body.tenant_id, user: body.user_id, client_id: body.client_id };
    accounts.revoke_consent(&by, &pair).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(user): Segment<UserId>,
    Segment(client_id): Segment<ClientId>,
    by: Administrator,
) -> ApiResult<StatusCode> {
    accounts.delete_consent(&by, &Pair { tenant, user, client_id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
