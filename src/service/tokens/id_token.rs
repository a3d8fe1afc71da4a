//! ID tokens (OpenID Connect Core §2): who logged in, when and how, told to the client alone.

use hellojohn_control::documents::{Alg, Client};
use hellojohn_control::{ScopeName, TenantEntry, Timestamp};

use super::{AccessToken, Grant, TokenIssuer, first, level, person};
use crate::crypto::jwt::{IdClaims, TokenType, at_hash};
use crate::crypto::secret::SecretString;
use crate::service::{Error, Result};

/// The scope that asks for an ID token (OpenID Connect Core §3.1.2.1).
const OPENID: &str = "openid";

impl TokenIssuer {
    /// Signs the ID token that goes with `access`, where `openid` is granted. It lives as long.
    ///
    /// # Errors
    /// `signing_key_pending`; `internal` for a key that does not open.
    pub(super) fn id_token(
        &self,
        grant: &Grant<'_>,
        access: &AccessToken,
        now: Timestamp,
    ) -> Result<Option<SecretString>> {
        let Grant { view, entry, client, user, family, scope, nonce, .. } = *grant;
        if !scope.iter().any(|scope| ScopeName::as_str(scope) == OPENID) {
            return Ok(None);
        }
        let alg = id_alg(entry, client);
        let client_id = client.client_id.as_str().to_owned();
        let claims = IdClaims {
            iss: view.issuer_of(entry),
            sub: user.id.to_string(),
            aud: client_id.clone(),
            azp: client_id,
            exp: access.expires_at.secs(),
            iat: now.secs(),
            auth_time: family.auth_time.secs(),
            nonce: nonce.map(str::to_owned),
            acr: level(&family.amr).to_owned(),
            amr: family.amr.clone(),
            at_hash: at_hash(alg, access.token.expose()),
            sid: family.browser_session.unwrap_or(family.id).to_string(),
            tid: entry.tenant.slug.as_str().to_owned(),
            person: person::standard_claims(entry, scope, user),
        };
        let token = self.key(view, entry, alg)?.sign(TokenType::Id, &claims).map_err(Error::internal)?;
        metrics::counter!("hellojohn_tokens_issued_total", "kind" => "id").increment(1);
        Ok(Some(SecretString::from(token)))
    }
}

/// What signs ID tokens: what the client chose, else the tenant's default (spec §2.2).
fn id_alg(entry: &TenantEntry, client: &Client) -> Alg {
    client.id_token_signed_response_alg.unwrap_or_else(|| first(&entry.tenant.settings.signing_algs))
}
