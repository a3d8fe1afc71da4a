//! EP131: the cluster and its members.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::Document;
use crate::cluster::{HandOver, MemberStatus};
use crate::config::cluster::NodeName;
use crate::http::ApiResult;
use crate::http::extract::{JsonBody, OptionalJsonBody, PathParam, Segment};
use crate::http::read::{Fresh, set_applied};
use crate::service::audit::Administrator;
use crate::service::control::ControlService;
use crate::service::user_store::UserStores;
use crate::service::{Code, Error, WriteContext};

/// What a node knows of the cluster.
#[derive(Debug, Serialize)]
pub(super) struct Cluster {
    cluster_id: Option<String>,
    node_id: String,
    leader_id: Option<String>,
    term: u64,
    /// The entry that `state_hash` belongs to.
    applied_index: u64,
    /// SHA-256 of the whole state: equal on all nodes at the same index.
    state_hash: String,
    /// The format that the cluster writes.
    format: u16,
    /// The newest format that this node knows: once all members know it, it is written.
    format_known: u16,
    members: Vec<MemberStatus>,
}

pub(super) async fn get(
    Fresh(_): Fresh,
    State(control): State<ControlService>,
) -> ApiResult<Document<Cluster>> {
    let plane = control.plane().clone();
    let status = plane.status().await;
    let hashed = {
        let plane = plane.clone();
        // A large catalogue takes a while.
        tokio::task::spawn_blocking(move || plane.state_hash()).await.map_err(Error::internal)?
    };
    let (applied_index, state_hash) = hashed.map_err(Error::internal)?;
    let cluster = Cluster {
        cluster_id: status.cluster_id,
        node_id: status.node_id,
        leader_id: status.leader_id,
        term: status.term,
        applied_index,
        state_hash,
        format: plane.view().format(),
        format_known: hellojohn_control::FORMAT,
        members: plane.members(),
    };
    Ok(Document::list(applied_index, cluster))
}

impl PathParam for NodeName {
    const NAME: &'static str = "id";
    const CODE: Code = Code::InvalidParameter;
    fn parse(text: &str) -> Result<Self, String> {
        NodeName::parse(text).ok_or_else(|| "a member is named by its NODE_ID".to_owned())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMember {
    name: String,
}

pub(super) async fn add(
    State(control): State<ControlService>,
    context: WriteContext,
    JsonBody(body): JsonBody<NewMember>,
) -> ApiResult<Document<Option<MemberStatus>>> {
    let name = NodeName::parse(&body.name)
        .ok_or_else(|| Error::invalid_field("name", "invalid", "must be the NODE_ID of a node"))?;
    let settled = control.add_member(&context, name.as_str()).await?;
    Ok(Document::list(settled.index, settled.member).created(settled.created))
}

pub(super) async fn promote(
    State(control): State<ControlService>,
    Segment(name): Segment<NodeName>,
    context: WriteContext,
) -> ApiResult<Document<Option<MemberStatus>>> {
    let settled = control.promote_member(&context, name.as_str()).await?;
    Ok(Document::list(settled.index, settled.member))
}

/// 204 when the member has left, 200 with what it still is while the change is under way.
pub(super) async fn remove(
    State(control): State<ControlService>,
    Segment(name): Segment<NodeName>,
    context: WriteContext,
) -> ApiResult<Response> {
    let settled = control.remove_member(&context, name.as_str()).await?;
    Ok(match settled.member {
        Some(member) => Document::list(settled.index, member).into_response(),
        None => {
            let mut response = StatusCode::NO_CONTENT.into_response();
            set_applied(response.headers_mut(), settled.index);
            response
        }
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepDown {
    #[serde(default)]
    to: Option<String>,
}

pub(super) async fn step_down(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    by: Administrator,
    context: WriteContext,
    OptionalJsonBody(body): OptionalJsonBody<StepDown>,
) -> ApiResult<Document<HandOver>> {
    if context.idempotency.is_some() {
        let detail = "a hand-over takes no Idempotency-Key; look who leads before you repeat it";
        return Err(Error::bad_input(Code::InvalidHeader, detail).into());
    }
    let handed = control.hand_over(&context, &by, &stores, body.to.as_deref()).await?;
    Ok(Document::list(control.plane().view().applied_index(), handed))
}
