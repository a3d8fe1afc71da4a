//! EP105, EP106: the scope catalogue of a tenant.

use axum::extract::State;
use hellojohn_control::documents::Scope;
use hellojohn_control::{ScopesMode, Slug};
use serde::{Deserialize, Serialize};

use super::answer::Document;
use crate::http::ApiResult;
use crate::http::extract::{JsonBody, Query, Segment};
use crate::http::read::Fresh;
use crate::service::control::ControlService;
use crate::service::user_store::UserStores;
use crate::service::{Code, Error, WriteContext};

/// The catalogue, both ways (spec §13.10).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    scopes: Vec<Scope>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Mode {
    #[serde(default)]
    mode: ScopesMode,
}

pub(super) async fn get(Fresh(view): Fresh, Segment(slug): Segment<Slug>) -> ApiResult<Document<Catalogue>> {
    let entry = view.tenant(&slug).ok_or_else(|| Error::new(Code::TenantNotFound))?;
    let body = Catalogue { scopes: entry.scopes.scopes.clone() };
    Ok(Document::at(view.applied_index(), entry.scopes.revision, body))
}

pub(super) async fn put(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    Query(query): Query<Mode>,
    context: WriteContext,
    JsonBody(body): JsonBody<Catalogue>,
) -> ApiResult<Document<Catalogue>> {
    let (catalogue, index) = control.put_scopes(&context, &slug, body.scopes, query.mode, &stores).await?;
    let body = Catalogue { scopes: catalogue.scopes.clone() };
    Ok(Document::at(index, catalogue.revision, body))
}
