//! `/v1/mfa`: second factors (EP060-EP065). Translates bodies and answers, decides nothing.

mod challenge;
mod disable;
mod enroll;
mod proof;
mod qr;
mod recovery;
mod status;
mod verify;

pub(super) use proof::proof_of;

use axum::extract::FromRef;

use super::cookies::CookieRules;
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
        .route(Verb::Get, "/v1/mfa", Plane::User, Auth::User, status::status)
        .route(Verb::Post, "/v1/mfa/totp/enroll", Plane::User, Auth::User, enroll::enroll)
        .route(Verb::Post, "/v1/mfa/totp/verify", Plane::User, Auth::User, verify::verify)
        .route(Verb::Post, "/v1/mfa/totp/challenge", Plane::User, Auth::Public, challenge::challenge)
        .route(Verb::Post, "/v1/mfa/totp/disable", Plane::User, Auth::User, disable::disable)
        .route(Verb::Post, "/v1/mfa/recovery/rotate", Plane::User, Auth::User, recovery::rotate)
}
