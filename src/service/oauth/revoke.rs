//! Takes a token back (EP032, RFC 7009; S42). A token that is none, or another client's, is no error: there is nothing to take
//! back, and nobody is told whose it is.

use super::{OAuthService, Presented, Whereabouts};
use crate::crypto::token_hash::OpaqueToken;
use crate::domain::refresh_token::{RevocationReason, TokenHash};
use crate::service::account::Place;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::user_store::refused;
use crate::service::{Code, Result};

impl OAuthService {
    /// Revokes the token of a client: a refresh token with its session, an access token by itself.
    ///
    /// # Errors
    /// `invalid_client`; `storage_unavailable`: nothing was revoked, and saying otherwise would be a lie.
    pub async fn revoke(
        &self,
        requester: &Requester,
        mut whereabouts: Whereabouts,
        presented: &Presented,
        token: &str,
    ) -> Result<()> {
        let opaque = OpaqueToken::parse(token).ok();
        // Where the request names no tenant; a token of another one than it names is another client's.
        if whereabouts.slug()?.is_none() {
            whereabouts.token = opaque.as_ref().map(|token| token.tenant().clone());
        }
        let place = self.authenticate(&whereabouts, presented)?;
        match opaque {
            Some(opaque) if *opaque.tenant() == place.entry.tenant.slug => {
                self.revoke_refresh(requester, &place, &opaque).await
            }
            Some(_) => Ok(()),
            None => self.revoke_access(requester, &place, token).await,
        }
    }

    /// Revokes an access token on its own word.
    ///
    /// # Errors
    /// `invalid_token`, `storage_unavailable`.
    pub async fn revoke_bearer(&self, requester: &Requester, bearer: &str) -> Result<()> {
        let claims = self.0.authenticator.read(bearer)?;
        let view = self.0.plane.view();
        let tenant = hellojohn_control::Slug::parse(&claims.tid).map_err(|_| Code::InvalidToken)?;
        let entry = view.tenant(&tenant).cloned().ok_or(Code::InvalidToken)?;
        let client = entry.clients.get(claims.client_id.as_str()).cloned().ok_or(Code::InvalidToken)?;
        self.revoke_access(requester, &Place { view, entry, client }, bearer).await
    }

    async fn revoke_refresh(&self, requester: &Requester, place: &Place, token: &OpaqueToken) -> Result<()> {
        let mut work = self.0.stores.begin(&place.entry.tenant).await?;
        let found = work.refresh_tokens().find_by_hash(&TokenHash(token.hash())).await;
        let found = found.map_err(|error| refused(&error))?.map(|presented| presented.family);
        let Some(family) = found.filter(|family| family.client_uuid == place.client.id) else {
            return Ok(());
        };
        let (now, reason) = (self.0.clock.now(), RevocationReason::Revoked);
        let revoked = work.refresh_tokens().revoke_family(family.id, now, reason).await;
        if !revoked.map_err(|error| refused(&error))? {
            return Ok(());
        }
        let event =
            Event { actor: Some(family.user_id), target: Some(family.id.0), ..event(requester, place) };
        self.0.stores.commit_told(work, &[event]).await
    }

    async fn revoke_access(&self, requester: &Requester, place: &Place, token: &str) -> Result<()> {
        let Ok(claims) = self.0.authenticator.read(token) else { return Ok(()) };
        let (tenant, client) = (place.entry.tenant.slug.as_str(), place.client.client_id.as_str());
        if claims.tid != tenant || claims.client_id != client {
            return Ok(());
        }
        let mut work = self.0.stores.begin(&place.entry.tenant).await?;
        let end = hellojohn_control::Timestamp::from_secs(claims.exp);
        work.denied_jtis().insert(&claims.jti, end).await.map_err(|error| refused(&error))?;
        let target = claims.sid.as_deref().and_then(|sid| sid.parse().ok());
        let event = Event { actor: claims.sub.parse().ok(), target, ..event(requester, place) };
        self.0.stores.commit_told(work, &[event]).await
    }
}

fn event<'a>(requester: &'a Requester, place: &'a Place) -> Event<'a> {
    Event {
        requester,
        action: Action::RevokeToken,
        outcome: Outcome::Ok,
        tenant: &place.entry.tenant.slug,
        actor: None,
        target: None,
        client_id: Some(place.client.client_id.as_str()),
    }
}
