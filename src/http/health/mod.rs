//! Health and metrics (EP160, EP161; spec §3.4): whether the process lives, whether it can serve, figures.

pub mod gauges;
mod ready;
pub mod state;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::Code;

pub use state::HealthState;

/// The routes of the public listener.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    HealthState: FromRef<S>,
{
    use Auth::Public;
    use Plane::User;
    Surface::new()
        .route(Verb::Get, "/livez", User, Public, live)
        .route(Verb::Get, "/readyz", User, Public, ready::ready)
        .route(Verb::Get, "/metrics", User, Public, public_metrics)
        .route(Verb::Post, "/__dev/shutdown", User, Public, shut_down)
}

/// The routes of the listener at `METRICS_ADDR`.
pub fn metrics_surface() -> Surface<HealthState> {
    Surface::new().route(Verb::Get, "/livez", Plane::User, Auth::Public, live).route(
        Verb::Get,
        "/metrics",
        Plane::User,
        Auth::Public,
        metrics,
    )
}

#[derive(Debug, Serialize)]
struct Said {
    status: &'static str,
}

/// The process runs and answers; nothing else is looked at.
async fn live() -> Json<Said> {
    Json(Said { status: "ok" })
}

async fn public_metrics(State(state): State<HealthState>) -> ApiResult<Response> {
    if state.metrics_elsewhere() { Err(Code::RouteNotFound.into()) } else { Ok(figures(&state).await) }
}

async fn metrics(State(state): State<HealthState>) -> Response {
    figures(&state).await
}

async fn figures(state: &HealthState) -> Response {
    gauges::publish(state.health()).await;
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, TEXT)], state.render_metrics()).into_response()
}

/// Ends the process as SIGTERM would, where `ALLOW_DEV_SHUTDOWN` offers it; elsewhere the route does not exist.
async fn shut_down(State(state): State<HealthState>) -> ApiResult<(StatusCode, Json<Said>)> {
    let stop = state.dev_shutdown().ok_or(Code::RouteNotFound)?;
    stop.cancel();
    Ok((StatusCode::ACCEPTED, Json(Said { status: "stopping" })))
}

#[cfg(test)]
mod tests;
