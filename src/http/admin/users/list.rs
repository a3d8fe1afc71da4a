//! GET /v1/admin/users (EP129): search, page by page.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::UserBody;
use crate::http::ApiResult;
use crate::http::extract::{InTenant, Page, Query};
use crate::service::account::AccountService;
use crate::service::{Code, Error};
use crate::store::pg::user_search::{FoundUser, UserQuery};

/// Longest text to search for, in bytes: as long as an address.
const MAX_TEXT: usize = 254;

#[derive(Deserialize)]
pub(super) struct Filter {
    q: Option<String>,
    status: Option<String>,
}

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    user: UserBody,
    #[serde(skip)]
    place: String,
}

pub(super) async fn list(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Query(filter): Query<Filter>,
    page: Page,
) -> ApiResult<Response> {
    let bad = |detail: &'static str| Error::bad_input(Code::InvalidParameter, detail);
    let after = page.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| bad("cursor is not one that this API gave"))?;
    let query = query(filter)?;
    let found = accounts.search_users(&tenant, &query, after.as_ref(), page.limit + 1).await?;
    let items = found.into_iter().map(item).collect();
    Ok(Json(page.answer(items, |item: &Item| &item.place)).into_response())
}

fn query(filter: Filter) -> Result<UserQuery, Error> {
    let bad = |detail: String| Error::bad_input(Code::InvalidParameter, detail);
    if filter.q.as_ref().is_some_and(|q| q.len() > MAX_TEXT || q.chars().any(char::is_control)) {
        return Err(bad(format!("q must be at most {MAX_TEXT} bytes without control characters")));
    }
    let status = filter.status.as_deref().filter(|status| !status.is_empty()).map(str::parse).transpose();
    let status = status.map_err(|error| bad(format!("{error}")))?;
    Ok(UserQuery { text: filter.q, status })
}

fn item(found: FoundUser) -> Item {
    Item { user: found.user.into(), place: found.place.to_string() }
}
