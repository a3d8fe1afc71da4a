//! EP109: signing keys of a tenant and of the global issuer.

use axum::extract::State;
use hellojohn_control::documents::{Alg, KeySet, KeyState};
use hellojohn_control::{Kid, Slug, Timestamp, View};
use serde::{Deserialize, Serialize};

use super::answer::Document;
use super::shown::ShownKey;
use crate::http::ApiResult;
use crate::http::extract::{OptionalJsonBody, PageOf, Segment};
use crate::http::read::Fresh;
use crate::service::control::{Activate, ControlService, Rotation};
use crate::service::{Code, Error, WriteContext};

pub(super) async fn list_tenant(
    Fresh(view): Fresh,
    Segment(slug): Segment<Slug>,
) -> ApiResult<Document<PageOf<ShownKey>>> {
    list(&view, &KeySet::Tenant(slug))
}

pub(super) async fn list_global(Fresh(view): Fresh) -> ApiResult<Document<PageOf<ShownKey>>> {
    list(&view, &KeySet::Global)
}

/// A set is bounded by the state machine, so it is always one page.
fn list(view: &View, set: &KeySet) -> ApiResult<Document<PageOf<ShownKey>>> {
    let ring = view.keys(set).ok_or_else(|| Error::new(Code::TenantNotFound))?;
    let items = ring.keys().values().map(|key| key.as_ref().into()).collect();
    Ok(Document::list(view.applied_index(), PageOf { items, next_cursor: None }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, alias = "graceSeconds")]
    grace_seconds: Option<u32>,
    #[serde(default, alias = "prepublishSeconds")]
    prepublish_seconds: u32,
    #[serde(default)]
    activate: Activate,
    #[serde(default)]
    alg: Option<Alg>,
}

#[derive(Debug, Serialize)]
pub(super) struct RotatedKey {
    kid: Kid,
    alg: Alg,
    state: KeyState,
    retiring: Vec<Retiring>,
}

#[derive(Debug, Serialize)]
struct Retiring {
    kid: Kid,
    retire_at: Option<Timestamp>,
}

pub(super) async fn rotate_tenant(
    State(control): State<ControlService>,
    Segment(slug): Segment<Slug>,
    context: WriteContext,
    OptionalJsonBody(wanted): OptionalJsonBody<Wanted>,
) -> ApiResult<Document<RotatedKey>> {
    rotate(&control, &context, KeySet::Tenant(slug), &wanted).await
}

pub(super) async fn rotate_global(
    State(control): State<ControlService>,
    context: WriteContext,
    OptionalJsonBody(wanted): OptionalJsonBody<Wanted>,
) -> ApiResult<Document<RotatedKey>> {
    rotate(&control, &context, KeySet::Global, &wanted).await
}

async fn rotate(
    control: &ControlService,
    context: &WriteContext,
    set: KeySet,
    wanted: &Wanted,
) -> ApiResult<Document<RotatedKey>> {
    let rotation = Rotation {
        grace_seconds: wanted.grace_seconds,
        prepublish_seconds: wanted.prepublish_seconds,
        activate: wanted.activate,
        alg: wanted.alg,
    };
    let rotated = control.rotate_keys(context, set, rotation).await?;
    let retiring =
        rotated.retiring.iter().map(|key| Retiring { kid: key.kid.clone(), retire_at: key.retire_at });
    let body = RotatedKey {
        kid: rotated.key.kid.clone(),
        alg: rotated.key.alg,
        state: rotated.key.state,
        retiring: retiring.collect(),
    };
    Ok(Document::list(rotated.index, body))
}
