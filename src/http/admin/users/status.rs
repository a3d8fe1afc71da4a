//! POST /v1/admin/users/{user_id}/disable, enable, unlock (EP130). Done twice, they are done once.

use axum::extract::State;
use axum::response::Response;

use super::shown;
use crate::domain::user::UserId;
use crate::http::ApiResult;
use crate::http::extract::{InTenant, Segment};
use crate::service::account::AccountService;
use crate::service::audit::Administrator;

pub(super) async fn disable(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
) -> ApiResult<Response> {
    Ok(shown(accounts.disable_user(&by, &tenant, id).await?))
}

pub(super) async fn enable(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
) -> ApiResult<Response> {
    Ok(shown(accounts.enable_user(&by, &tenant, id).await?))
}

pub(super) async fn unlock(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
) -> ApiResult<Response> {
    Ok(shown(accounts.unlock_user(&by, &tenant, id).await?))
}
