//! EP110: whether the caller's token is an administrator's, and which node answered.

use axum::extract::State;
use serde::Serialize;

use super::answer::Document;
use crate::http::extract::Caller;
use crate::http::read::Fresh;
use crate::service::control::ControlService;

#[derive(Debug, Serialize)]
pub(super) struct Pong {
    status: &'static str,
    node_id: String,
    subject: String,
    tenant: String,
}

pub(super) async fn ping(
    Fresh(view): Fresh,
    State(control): State<ControlService>,
    Caller(caller): Caller,
) -> Document<Pong> {
    let node_id = control.plane().node_id().to_owned();
    let pong = Pong { status: "ok", node_id, subject: caller.subject, tenant: caller.tenant };
    Document::list(view.applied_index(), pong)
}
