//! What only a build with one more format has, so that a test can ask for something that older members cannot read.

use axum::extract::State;
use axum::http::StatusCode;
use hellojohn_control::Slug;
use serde::Deserialize;

use crate::http::ApiResult;
use crate::http::extract::{JsonBody, Segment};
use crate::service::WriteContext;
use crate::service::control::ControlService;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    name: String,
}

pub(super) async fn rename(
    State(control): State<ControlService>,
    Segment(slug): Segment<Slug>,
    context: WriteContext,
    JsonBody(body): JsonBody<Rename>,
) -> ApiResult<StatusCode> {
    control.rename_tenant(&context, slug, body.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
