//! The hosted pages: `/error`, and those that links in mails lead to, `/verify-email` and `/reset`; also below `/t/{slug}`
//! (spec §13.8). Forms lead back by the same path, whatever a proxy put before it.
//!
//! A GET shows a form and does nothing, so whatever looks at links before people do changes nothing (S74); the POST carries the
//! mailed token, which is the proof and needs no other (S72). Nothing is loaded from anywhere, no script runs, no page can be
//! framed, and no address with a token in it is passed on (S18, S20).

mod error;
mod html;
mod language;
mod reset;
mod verify_email;

pub(in crate::http) use html::escaped;

use axum::extract::{FromRef, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use hellojohn_control::Slug;
use serde::Deserialize;
use url::form_urlencoded;

use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::http::error::{ApiError, ApiResult, status};
use crate::http::extract::{Segment, body};
use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;
use crate::service::{Code, Error, Result};

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    Surface::new()
        .route(Verb::Get, "/error", Plane::User, Auth::Public, error::show)
        .route(Verb::Get, "/t/{slug}/error", Plane::User, Auth::Public, error::show)
        .route(Verb::Get, "/verify-email", Plane::User, Auth::Public, verify_email::show)
        .route(Verb::Post, "/verify-email", Plane::User, Auth::Public, verify_email::confirm)
        .route(Verb::Get, "/reset", Plane::User, Auth::Public, reset::show)
        .route(Verb::Post, "/reset", Plane::User, Auth::Public, reset::set)
        .route(Verb::Get, "/t/{slug}/verify-email", Plane::User, Auth::Public, verify_email::show)
        .route(Verb::Post, "/t/{slug}/verify-email", Plane::User, Auth::Public, verify_email::confirm)
        .route(Verb::Get, "/t/{slug}/reset", Plane::User, Auth::Public, reset::show)
        .route(Verb::Post, "/t/{slug}/reset", Plane::User, Auth::Public, reset::set)
}

/// The page for a request that cannot be answered anywhere else.
pub(in crate::http) fn error_page(error: &Error) -> Response {
    let body = format!("<p>{}</p>", escaped(error.public_text()));
    html::page(status::of(error.code()), "This request cannot be answered", &body)
}

/// The tenant of a page below `/t/{slug}`. A token of another tenant is none there.
struct Below(Option<Slug>);

impl<S: Send + Sync> FromRequestParts<S> for Below {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        if !parts.uri.path().starts_with("/t/") {
            return Ok(Self(None));
        }
        let Segment(slug) = Segment::from_request_parts(parts, state).await?;
        Ok(Self(Some(slug)))
    }
}

impl Below {
    /// The token, if it has the form of one and may be used here.
    fn token(&self, text: &SecretString) -> Option<OpaqueToken> {
        let token = OpaqueToken::parse_of(Kind::Mail, text.expose()).ok()?;
        self.0.as_ref().is_none_or(|slug| slug == token.tenant()).then_some(token)
    }
}

/// The query of a mailed link.
#[derive(Debug, Deserialize)]
struct Link {
    #[serde(default)]
    token: Option<SecretString>,
}

/// The fields of a form, by name.
struct Form(Vec<(String, SecretString)>);

impl Form {
    async fn read(request: Request) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.extensions, body).await?;
        let fields = form_urlencoded::parse(&bytes)
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()));
        Ok(Self(fields.collect()))
    }

    /// The field; it must be there once.
    fn field(&self, name: &str) -> Result<SecretString> {
        let mut found = self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value.clone()),
            (None, _) | (_, Some(_)) => {
                Err(Error::bad_input(Code::InvalidParameter, format!("the form needs {name} once")))
            }
        }
    }
}
