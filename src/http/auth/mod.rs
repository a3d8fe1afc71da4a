//! `/v1/auth`: register, log in, refresh, log out (EP001-EP006), mailed links (EP050-EP053). Translates bodies and answers, decides nothing.
//!
//! Unknown fields are refused by name, so that nobody sets what is not theirs to set (S102).

mod answer;
mod login;
mod logout;
mod logout_all;
mod mailed;
mod refresh;
mod register;

pub(super) use answer::{TokensBody, UserBody, logged_in, started};

use axum::Json;
use axum::extract::FromRef;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::http::cookies::CookieRules;
use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
    CookieRules: FromRef<S>,
{
    Surface::new()
        .route(Verb::Post, "/v1/auth/register", Plane::User, Auth::Public, register::register)
        .route(Verb::Post, "/v1/auth/login", Plane::User, Auth::Public, login::login)
        .route(Verb::Post, "/v1/auth/refresh", Plane::User, Auth::Public, refresh::refresh)
        .route(Verb::Post, "/v1/auth/logout", Plane::User, Auth::Public, logout::logout)
        .route(Verb::Post, "/v1/auth/logout-all", Plane::User, Auth::User, logout_all::logout_all)
        .route(
            Verb::Post,
            "/v1/auth/verify-email/start",
            Plane::User,
            Auth::Public,
            mailed::start_verification,
        )
        .route(Verb::Get, "/v1/auth/verify-email", Plane::User, Auth::Public, mailed::verify_email)
        .route(Verb::Post, "/v1/auth/forgot", Plane::User, Auth::Public, mailed::forgot)
        .route(Verb::Post, "/v1/auth/reset", Plane::User, Auth::Public, mailed::reset)
}

/// The answer that is the same whatever a mail will tell.
fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({"status": "accepted"}))).into_response()
}
