//! What every page of a visit keeps in its address: where the person comes from and wants to go.

use axum::http::HeaderMap;
use hellojohn_control::{ClientId, Slug};
use url::form_urlencoded::Serializer;

use super::language::Language;
use crate::domain::return_to::ReturnTo;
use crate::http::oauth2;
use crate::service::oauth::{Hosted, OAuthService, Whereabouts};
use crate::service::{Code, Error, Result};

/// Longest address that is shown in a field before it is typed, in bytes.
const MAX_HINT: usize = 320;
/// Longest list of languages.
const MAX_LOCALES: usize = 128;

/// The address of a page, read.
#[derive(Debug)]
pub(super) struct Visit {
    below: Option<Slug>,
    tenant_id: Option<String>,
    pub(super) client_id: Option<ClientId>,
    pub(super) return_to: Option<ReturnTo>,
    pub(super) login_hint: Option<String>,
    ui_locales: Option<String>,
    pub(super) language: Language,
}

impl Visit {
    /// Reads the query of a page at the root or below a tenant.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_client_id`.
    pub(super) fn read(below: Option<Slug>, query: Option<&str>, headers: &HeaderMap) -> Result<Self> {
        let params = oauth2::query(query)?;
        let client_id = params.get("client_id").map(ClientId::parse).transpose();
        let return_to = params.get("return_to").map(str::parse::<ReturnTo>).transpose();
        let ui_locales = params.get("ui_locales").filter(|text| text.len() <= MAX_LOCALES);
        Ok(Self {
            below,
            tenant_id: params.get("tenant_id").map(str::to_owned),
            client_id: client_id
                .map_err(|error| Error::bad_input(Code::InvalidClientId, format!("client_id: {error}")))?,
            return_to: return_to
                .map_err(|error| Error::bad_input(Code::InvalidParameter, format!("return_to {error}")))?,
            login_hint: params.get("login_hint").filter(|text| text.len() <= MAX_HINT).map(str::to_owned),
            language: Language::of(ui_locales, headers),
            ui_locales: ui_locales.map(str::to_owned),
        })
    }

    /// The tenant and the client of the page.
    ///
    /// # Errors
    /// As [`OAuthService::hosted`].
    pub(super) fn hosted(&self, oauth: &OAuthService) -> Result<Hosted> {
        let whereabouts =
            Whereabouts { path: self.below.clone(), named: self.tenant_id.clone(), token: None };
        oauth.hosted(&whereabouts, self.client_id.as_ref())
    }

    /// The address of another page of this visit, from any page of it: whatever a proxy put before stays before.
    pub(super) fn to(&self, page: &str) -> String {
        let mut query = Serializer::new(String::new());
        let kept = [
            ("tenant_id", self.tenant_id.as_deref()),
            ("client_id", self.client_id.as_ref().map(ClientId::as_str)),
            ("login_hint", self.login_hint.as_deref()),
            ("ui_locales", self.ui_locales.as_deref()),
            ("return_to", self.return_to.as_ref().map(ReturnTo::as_str)),
        ];
        for (name, value) in kept.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            query.append_pair(name, value);
        }
        match query.finish() {
            query if query.is_empty() => page.to_owned(),
            query => format!("{page}?{query}"),
        }
    }
}
