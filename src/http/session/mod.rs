//! `/v1/session`: sessions of browsers, by cookie (EP020-1). Translates bodies and answers, decides nothing.

mod login;
mod logout;

use axum::extract::FromRef;

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
    Surface::new().route(Verb::Post, "/v1/session/login", Plane::User, Auth::Public, login::login).route(
        Verb::Post,
        "/v1/session/logout",
        Plane::User,
        Auth::Public,
        logout::logout,
    )
}
