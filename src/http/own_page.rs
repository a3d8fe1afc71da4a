//! Whether a request that a cookie speaks for comes from a page of our own (spec §13.8, S78).
//!
//! Asked before a session begins or ends by a cookie, because a page of another site can make a browser send one. Programs
//! send neither header and pass: they have no cookies that somebody else could use.

use std::collections::BTreeSet;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use crate::config::Config;
use crate::http::cookies::CookieRules;
use crate::http::error::{ApiError, ApiResult};
use crate::service::{Code, Error, Result};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins of the pages that log people in: this server's own, and `UI_PUBLIC_ORIGIN`.
#[derive(Debug)]
pub(in crate::http) struct OwnPages {
    origins: BTreeSet<String>,
    ui: Option<String>,
}

impl OwnPages {
    /// The origins of this node.
    pub(in crate::http) fn from_config(config: &Config) -> Self {
        let own = config.server.public_url.url().origin().ascii_serialization();
        let ui = config.server.ui_public_origin.clone();
        Self { origins: std::iter::once(own).chain(ui.clone()).collect(), ui }
    }

    /// Whether the request comes from one of them, or from no page at all, and has a body that no form can send.
    ///
    /// # Errors
    /// `csrf_refused`, `unsupported_media_type`.
    pub(in crate::http) fn check(&self, headers: &HeaderMap) -> Result<()> {
        if !self.admits(headers) {
            return Err(Code::CsrfRefused.into());
        }
        if is_json(headers) { Ok(()) } else { Err(Error::new(Code::UnsupportedMediaType)) }
    }

    /// The same of a form, which must prove besides that a page of ours has made it.
    ///
    /// # Errors
    /// `csrf_refused`.
    pub(in crate::http) fn check_form(&self, headers: &HeaderMap) -> Result<()> {
        if self.admits(headers) { Ok(()) } else { Err(Code::CsrfRefused.into()) }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let mut sites = headers.get_all(FETCH_SITE).iter();
        let (origin, site) = (origins.next(), sites.next());
        if origins.next().is_some() || sites.next().is_some() {
            return false;
        }
        let site = site.map(axum::http::HeaderValue::as_bytes);
        match origin.map(|origin| origin.to_str()) {
            Some(Ok(origin)) if self.ui.as_deref() == Some(origin) => true,
            // What a browser says of the site must not contradict what it says of the origin.
            Some(Ok(origin)) => self.origins.contains(origin) && site != Some(b"cross-site"),
            Some(Err(_)) => false,
            None => matches!(site, None | Some(b"same-origin" | b"none")),
        }
    }
}

/// Whether the body is called JSON, which no form of HTML can do.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().ok().and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Proof that the request passed [`OwnPages::check`].
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct OwnPage;

impl<S> FromRequestParts<S> for OwnPage
where
    S: Send + Sync,
    CookieRules: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        CookieRules::from_ref(state).pages().check(&parts.headers)?;
        Ok(Self)
    }
}
