//! POST /v1/auth/logout-all (EP006).

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::ApiResult;
use crate::http::extract::Caller;
use crate::service::account::AccountService;
use crate::service::audit::Requester;

pub(super) async fn logout_all(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
) -> ApiResult<StatusCode> {
    accounts.logout_all(&requester, &principal).await?;
    Ok(StatusCode::NO_CONTENT)
}
