//! POST /v1/admin/users/import: accounts from another system, a batch at a time. User plane: every node does it.

use axum::Json;
use axum::extract::{FromRef, State};
use hellojohn_control::{Slug, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::crypto::secret::SecretString;
use crate::domain::user::{UserId, UserStatus};
use crate::http::extract::JsonBody;
use crate::http::{ApiResult, Auth, Plane, Surface, Verb, json};
use crate::service::account::{AccountService, ImportLine, Imported, Submitted, UserImport};
use crate::service::audit::Administrator;
use crate::service::{FieldError, Payload};

/// The route.
pub(super) fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    Surface::new().route(Verb::Post, "/v1/admin/users/import", Plane::User, Auth::Admin, import)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    /// Read one by one, so that a bad one does not spoil the others.
    users: Vec<Value>,
    #[serde(default, alias = "dryRun")]
    dry_run: bool,
}

/// Unknown fields are refused by name, `sys_admin` among them (S102).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, alias = "sub")]
    id: Option<Uuid>,
    email: String,
    #[serde(default, alias = "emailVerified")]
    email_verified: bool,
    #[serde(default, alias = "passwordHash")]
    password_hash: Option<SecretString>,
    #[serde(default, alias = "givenName")]
    given_name: Option<String>,
    #[serde(default, alias = "familyName")]
    family_name: Option<String>,
    #[serde(default)]
    picture: Option<String>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    custom: Map<String, Value>,
    #[serde(default)]
    status: Option<UserStatus>,
    #[serde(default, alias = "createdAt")]
    created_at: Option<Timestamp>,
}

impl From<Line> for ImportLine {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            email: line.email,
            email_verified: line.email_verified,
            password_hash: line.password_hash,
            given_name: line.given_name,
            family_name: line.family_name,
            picture: line.picture,
            locale: line.locale,
            custom: line.custom,
            status: line.status.unwrap_or(UserStatus::Active),
            created_at: line.created_at,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    created: usize,
    unchanged: usize,
    refused: usize,
    dry_run: bool,
    results: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    /// Place in `users`, from 0.
    index: usize,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<UserId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Reason>,
}

#[derive(Serialize)]
struct Reason {
    field: String,
    code: String,
    message: String,
}

async fn import(
    State(accounts): State<AccountService>,
    by: Administrator,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Json<Answer>> {
    let Body { tenant_id: tenant, users, dry_run } = body;
    let lines = users.into_iter().map(submitted).collect();
    let results = accounts.import_users(&by, UserImport { tenant, lines, dry_run }).await?;
    let results: Vec<Shown> =
        results.into_iter().enumerate().map(|(index, result)| shown(index, result)).collect();
    let count = |status: &str| results.iter().filter(|shown| shown.status == status).count();
    let (created, unchanged, refused) = (count(CREATED), count(UNCHANGED), count(REFUSED));
    Ok(Json(Answer { created, unchanged, refused, dry_run, results }))
}

const CREATED: &str = "created";
const UNCHANGED: &str = "unchanged";
const REFUSED: &str = "refused";

fn submitted(line: Value) -> Submitted {
    json::from_value::<Line>(line).map(ImportLine::from).map_err(|error| match error.payload() {
        Payload::Fields(fields) => fields.clone(),
        Payload::None
        | Payload::CurrentRevision(_)
        | Payload::Leader(_)
        | Payload::RetryAfter(_)
        | Payload::RateLimited(_)
        | Payload::NoCredentials
        | Payload::RequiredScope(_) => {
            vec![FieldError::new("", "invalid", error.public_text().to_owned())]
        }
    })
}

fn shown(index: usize, result: Imported) -> Shown {
    let (status, id, errors) = match result {
        Imported::Created(id) => (CREATED, Some(id), Vec::new()),
        Imported::Unchanged(id) => (UNCHANGED, Some(id), Vec::new()),
        Imported::Refused(errors) => (REFUSED, None, errors),
    };
    let reason = |error: FieldError| Reason {
        field: error.field.into_owned(),
        code: error.code.into_owned(),
        message: error.message.into_owned(),
    };
    Shown { index, status, id, errors: errors.into_iter().map(reason).collect() }
}
