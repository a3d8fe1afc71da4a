//! Tokens for the client itself (RFC 6749 §4.4). Needs no database: whoever runs one is not asked for it.

use hellojohn_control::documents::GrantType;

use super::redeem::Tokens;
use super::{OAuthService, Params, scope};
use crate::service::account::Place;
use crate::service::{Code, Error, Result};

/// Scopes that are about a person, of which there is none (OpenID Connect Core §3.1.2.1, §11).
const OF_PEOPLE: [&str; 2] = ["openid", "offline_access"];

impl OAuthService {
    /// An access token that speaks for the client.
    ///
    /// # Errors
    /// `unauthorized_client`, `invalid_scope`, `invalid_target`.
    pub(super) fn client_credentials(&self, place: &Place, params: &Params) -> Result<Tokens> {
        let Place { view, entry, client } = place;
        if !client.grant_types.contains(&GrantType::ClientCredentials) {
            return Err(
                Error::new(Code::UnauthorizedClient).detail("the client may not use client_credentials")
            );
        }
        let wanted = scope::parsed(params.get("scope"))?;
        let named = wanted.is_some();
        let mut scope = scope::allowed(entry, client, wanted)?;
        let of_people = scope.iter().position(|scope| OF_PEOPLE.contains(&scope.as_str()));
        if named && let Some(of_people) = of_people.and_then(|index| scope.get(index)) {
            return Err(Error::new(Code::InvalidScope)
                .detail(format!("{of_people} is about a person, and there is none")));
        }
        scope.retain(|scope| !OF_PEOPLE.contains(&scope.as_str()));
        let resources = scope::resources(params, client)?;
        let now = self.0.clock.now();
        let access = self.0.tokens.for_client(view, entry, client, &scope, &resources, now)?;
        Ok(Tokens { access, refresh: None })
    }
}
