//! `/v1/auth`: register, log in, refresh, log out (EP001-EP006). Translates bodies and answers, decides nothing.
//!
//! Unknown fields are refused by name, so that nobody sets what is not theirs to set (S102).

mod answer;
mod login;
mod logout;
mod logout_all;
mod refresh;
mod register;

pub(super) use answer::{TokensBody, UserBody};

use axum::extract::FromRef;

use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    Surface::new()
        .route(Verb::Post, "/v1/auth/register", Plane::User, Auth::Public, register::register)
        .route(Verb::Post, "/v1/auth/login", Plane::User, Auth::Public, login::login)
        .route(Verb::Post, "/v1/auth/refresh", Plane::User, Auth::Public, refresh::refresh)
        .route(Verb::Post, "/v1/auth/logout", Plane::User, Auth::Public, logout::logout)
        .route(Verb::Post, "/v1/auth/logout-all", Plane::User, Auth::User, logout_all::logout_all)
}
