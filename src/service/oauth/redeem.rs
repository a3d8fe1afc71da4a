//! The token endpoint (EP031, RFC 6749 §3.2): which grant, by which client.

use hellojohn_control::Slug;

use super::{OAuthService, Params, Presented, Whereabouts, scope};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::service::account::{Exchange, Redemption};
use crate::service::audit::Requester;
use crate::service::tokens::AccessToken;
use crate::service::{Code, Error, Result};

/// What a client wants tokens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// RFC 6749 §4.1.3.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4.
    ClientCredentials,
}

impl Grant {
    /// The grant that a request names.
    ///
    /// # Errors
    /// `invalid_parameter` without a name, `unsupported_grant_type` for an unknown one (S13: also for `password`).
    pub fn parse(name: Option<&str>) -> Result<Self> {
        match name {
            Some("authorization_code") => Ok(Self::AuthorizationCode),
            Some("refresh_token") => Ok(Self::RefreshToken),
            Some("client_credentials") => Ok(Self::ClientCredentials),
            Some(_) => Err(Code::UnsupportedGrantType.into()),
            None => Err(missing("grant_type")),
        }
    }
}

/// What the token endpoint yields.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: AccessToken,
    /// The refresh token, where the client gets one.
    pub refresh: Option<SecretString>,
}

impl OAuthService {
    /// Yields tokens for a grant.
    ///
    /// # Errors
    /// Those of RFC 6749 §5.2; `invalid_target`; `storage_unavailable`.
    pub async fn redeem(
        &self,
        requester: &Requester,
        mut whereabouts: Whereabouts,
        presented: &Presented,
        params: &Params,
    ) -> Result<Tokens> {
        let grant = Grant::parse(params.get("grant_type"))?;
        whereabouts.token = tenant_in(grant, params);
        let place = self.authenticate(&whereabouts, presented)?;
        match grant {
            Grant::ClientCredentials => self.client_credentials(&place, params),
            Grant::AuthorizationCode => Box::pin(self.exchange_code(requester, &place, params)).await,
            Grant::RefreshToken => {
                let token = params.secret("refresh_token").ok_or_else(|| missing("refresh_token"))?;
                let redemption = Redemption {
                    client_uuid: place.client.id,
                    scope: scope::parsed(params.get("scope"))?,
                    resources: params.resources().map(str::to_owned).collect(),
                };
                let exchange = Exchange {
                    token: token.clone(),
                    tenant: Some(place.entry.tenant.slug.clone()),
                    client_id: Some(place.client.client_id.clone()),
                    at_token_endpoint: Some(redemption),
                };
                let set = Box::pin(self.0.accounts.refresh(requester, &exchange)).await?;
                Ok(Tokens { access: set.access, refresh: set.refresh })
            }
        }
    }
}

/// The tenant that a code or a token says it is of. Proven by nothing yet.
fn tenant_in(grant: Grant, params: &Params) -> Option<Slug> {
    let parsed = match grant {
        Grant::AuthorizationCode => OpaqueToken::parse_of(Kind::Code, params.get("code")?),
        Grant::RefreshToken => OpaqueToken::parse(params.get("refresh_token")?),
        Grant::ClientCredentials => return None,
    };
    parsed.ok().map(|token| token.tenant().clone())
}

pub(super) fn missing(name: &'static str) -> Error {
    Error::bad_input(Code::InvalidParameter, format!("the parameter {name} is missing"))
}
