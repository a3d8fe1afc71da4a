//! DELETE /v1/admin/users/{user_id}/mfa (EP130). Done twice, it is done once.

use axum::extract::State;
use axum::http::StatusCode;

use crate::domain::user::UserId;
use crate::http::ApiResult;
use crate::http::extract::{InTenant, Segment};
use crate::service::account::AccountService;
use crate::service::audit::Administrator;

pub(super) async fn reset(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
) -> ApiResult<StatusCode> {
    accounts.reset_mfa_of_user(&by, &tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
