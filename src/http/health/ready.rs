//! `GET /readyz`: 200 when this node can serve people, else 503 naming what fails (spec §3.4).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::HealthState;
use crate::cluster::{RaftStatus, Status};
use crate::http::ApiResult;
use crate::http::extract::Query;
use crate::http::read::set_applied;
use crate::service::health::{Report, Wanted};
use crate::service::{Code, Error};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    role: Option<String>,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failing: Vec<Failing<'a>>,
    checks: Checks<'a>,
    fs_degraded: bool,
    cluster: Cluster<'a>,
    raft: &'a RaftStatus,
}

#[derive(Debug, Serialize)]
struct Failing<'a> {
    code: &'static str,
    detail: &'a str,
}

#[derive(Debug, Serialize)]
struct Checks<'a> {
    db: &'a str,
    cache: &'a str,
    keystore: &'a str,
}

#[derive(Debug, Serialize)]
struct Cluster<'a> {
    #[serde(flatten)]
    status: &'a Status,
    leader_redirects: &'a BTreeMap<String, String>,
}

pub(super) async fn ready(
    State(state): State<HealthState>,
    Query(asked): Query<Asked>,
) -> ApiResult<Response> {
    let wanted = match asked.role.as_deref() {
        None => Wanted::Any,
        Some("leader") => Wanted::Leader,
        Some(_) => return Err(Error::bad_input(Code::InvalidParameter, "role must be `leader`").into()),
    };
    let report = state.health().report(wanted).await;
    Ok(answer(&report, state.leader_redirects()))
}

pub(super) fn answer(report: &Report, leader_redirects: &BTreeMap<String, String>) -> Response {
    let is_ready = report.failing.is_empty();
    let body = Body {
        status: if is_ready { "ready" } else { "unavailable" },
        code: report.failing.first().map(|failure| failure.code),
        failing: report.failing.iter().map(|f| Failing { code: f.code, detail: &f.detail }).collect(),
        checks: Checks {
            db: report.database.as_str(),
            cache: report.cache.as_str(),
            keystore: report.keystore.as_str(),
        },
        fs_degraded: report.cluster.fs_degraded.is_some(),
        cluster: Cluster { status: &report.cluster, leader_redirects },
        raft: &report.cluster.raft,
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, Json(body)).into_response();
    set_applied(response.headers_mut(), report.cluster.raft.applied_index);
    if !is_ready {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
