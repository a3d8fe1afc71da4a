//! EP100, EP101: tenants.

use axum::extract::State;
use hellojohn_control::Slug;

use super::answer::Document;
use super::body::{self, Object};
use super::shown::ShownTenant;
use crate::http::ApiResult;
use crate::http::extract::{JsonBody, Page, PageOf, Segment};
use crate::http::read::Fresh;
use crate::service::control::{ControlService, Deleted};
use crate::service::user_store::UserStores;
use crate::service::{Code, Error, WriteContext};

pub(super) async fn list(Fresh(view): Fresh, page: Page) -> ApiResult<Document<PageOf<ShownTenant>>> {
    let after = page.after.as_deref().map(Slug::parse).transpose().map_err(|_| bad_cursor())?;
    let found = view.tenants_after(after.as_ref()).take(page.limit + 1);
    let items: Vec<ShownTenant> = found.map(|entry| entry.tenant.as_ref().into()).collect();
    Ok(Document::list(view.applied_index(), page.answer(items, |tenant| tenant.slug.as_str())))
}

pub(super) async fn get(
    Fresh(view): Fresh,
    Segment(slug): Segment<Slug>,
) -> ApiResult<Document<ShownTenant>> {
    let entry = view.tenant(&slug).ok_or_else(|| Error::new(Code::TenantNotFound))?;
    let tenant = entry.tenant.as_ref();
    Ok(Document::at(view.applied_index(), tenant.revision, tenant.into()))
}

pub(super) async fn put(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    context: WriteContext,
    JsonBody(body): JsonBody<Object>,
) -> ApiResult<Document<ShownTenant>> {
    let input = body::tenant(body, &slug)?;
    let (tenant, created, index) = control.put_tenant(&context, &slug, input, &stores).await?;
    Ok(Document::at(index, tenant.revision, tenant.as_ref().into()).created(created))
}

pub(super) async fn delete(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    context: WriteContext,
) -> ApiResult<Deleted> {
    Ok(control.delete_tenant(&context, &slug, &stores).await?)
}

pub(super) fn bad_cursor() -> Error {
    Error::bad_input(Code::InvalidParameter, "cursor is not one that this list gave")
}
