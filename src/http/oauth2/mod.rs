//! The endpoints of OAuth 2.1 and OpenID Connect (EP030-EP034), at the root and below `/t/{slug}`. Their errors are those of RFC
//! 6749 and RFC 6750 (spec §5).

mod authorize;
mod client;
mod form;
mod form_post;
mod introspect;
mod revoke;
mod token;
mod userinfo;

pub(in crate::http) use authorize::{settled, show};
pub(in crate::http) use form::{form, query};
pub(in crate::http) use form_post::page as post_back;

use axum::extract::FromRef;

use crate::http::cookies::CookieRules;
use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::oauth::OAuthService;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    OAuthService: FromRef<S>,
    CookieRules: FromRef<S>,
{
    use Auth::Public;
    use Plane::User;
    use Verb::{Get, Post};
    Surface::new()
        .route(Get, "/oauth2/authorize", User, Public, authorize::get)
        .route(Post, "/oauth2/authorize", User, Public, authorize::post)
        .route(Post, "/oauth2/token", User, Public, token::token)
        .route(Post, "/oauth2/revoke", User, Public, revoke::revoke)
        .route(Post, "/oauth2/introspect", User, Public, introspect::introspect)
        .route(Get, "/userinfo", User, Public, userinfo::get)
        .route(Post, "/userinfo", User, Public, userinfo::post)
        .route(Get, "/t/{slug}/oauth2/authorize", User, Public, authorize::get)
        .route(Post, "/t/{slug}/oauth2/authorize", User, Public, authorize::post)
        .route(Post, "/t/{slug}/oauth2/token", User, Public, token::token)
        .route(Post, "/t/{slug}/oauth2/revoke", User, Public, revoke::revoke)
        .route(Post, "/t/{slug}/oauth2/introspect", User, Public, introspect::introspect)
        .route(Get, "/t/{slug}/userinfo", User, Public, userinfo::get)
        .route(Post, "/t/{slug}/userinfo", User, Public, userinfo::post)
}
