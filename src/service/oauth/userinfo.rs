//! Tells a client who a person is (EP033, OpenID Connect Core §5.3).

use hellojohn_control::{ScopeName, Slug};
use serde_json::{Map, Value};

use super::{OAuthService, claims};
use crate::service::principal::UserAuthorizer as _;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};

/// What a token must be for.
const OPENID: &str = "openid";

impl OAuthService {
    /// The claims of the person that the access token speaks for: `sub`, and what its scopes tell.
    ///
    /// # Errors
    /// `invalid_token`; `insufficient_scope` without `openid`; `storage_unavailable`.
    pub async fn userinfo(&self, path: Option<&Slug>, bearer: &str) -> Result<Map<String, Value>> {
        let principal = self.0.authenticator.authenticate(bearer).await?;
        if path.is_some_and(|path| path.as_str() != principal.tenant) {
            return Err(Error::new(Code::InvalidToken).context("the token is of another tenant"));
        }
        if !principal.has_scope(OPENID) {
            return Err(Error::insufficient_scope(OPENID));
        }
        let person = crate::service::authenticate::person_of(&principal)?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = work.users().find_by_id(person.user).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        let user = user.ok_or(Code::InvalidToken)?;
        let scope: Vec<ScopeName> =
            principal.scopes.iter().filter_map(|scope| ScopeName::parse(scope).ok()).collect();
        let mut told = claims::of(entry, &scope, &user);
        told.insert("sub".to_owned(), Value::from(principal.subject));
        Ok(told)
    }
}
