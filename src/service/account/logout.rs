//! Log out (EP005): what the caller presents works no more.

use hellojohn_control::Slug;
use hellojohn_control::documents::Tenant;

use super::AccountService;
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::OpaqueToken;
use crate::domain::refresh_token::{FamilyId, RevocationReason, TokenHash};
use crate::domain::user::UserId;
use crate::service::Result;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::user_store::refused;

/// What somebody who logs out presents; either may be missing, and neither need be good for anything any more.
#[derive(Debug, Clone, Default)]
pub struct Logout {
    /// A refresh token of the session, used or not.
    pub refresh_token: Option<SecretString>,
    /// The access token, as sent.
    pub bearer: Option<SecretString>,
}

impl AccountService {
    /// Ends the sessions that the tokens belong to, and denies the access token until its end. Tokens that are
    /// not ours, or dead already, are passed over: there is nothing left to end.
    ///
    /// # Errors
    /// `storage_unavailable`: nothing was ended, and saying otherwise would be a lie.
    pub async fn logout(&self, requester: &Requester, logout: &Logout) -> Result<()> {
        if let Some(token) = &logout.refresh_token
            && let Ok(token) = OpaqueToken::parse(token.expose())
        {
            self.end_session_of(requester, &token).await?;
        }
        if let Some(bearer) = &logout.bearer {
            self.deny(requester, bearer).await?;
        }
        Ok(())
    }

    async fn end_session_of(&self, requester: &Requester, token: &OpaqueToken) -> Result<()> {
        let view = self.0.plane.view();
        let Some(entry) = view.tenant(token.tenant()) else { return Ok(()) };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.refresh_tokens().find_by_hash_for_update(&TokenHash(token.hash())).await;
        let Some(presented) = found.map_err(|error| refused(&error))? else { return Ok(()) };
        let family = presented.family;
        let now = self.0.clock.now();
        let revoked = work.refresh_tokens().revoke_family(family.id, now, RevocationReason::Logout).await;
        let revoked = revoked.map_err(|error| refused(&error))?;
        let event = revoked.then(|| ended(requester, &entry.tenant.slug, family.user_id, family.id));
        self.0.stores.commit_told(work, event.as_slice()).await
    }

    async fn deny(&self, requester: &Requester, bearer: &SecretString) -> Result<()> {
        let Ok(person) = self.0.authenticator.read_person(bearer.expose()) else { return Ok(()) };
        let view = self.0.plane.view();
        let Some(tenant) = view.tenant(&person.tenant).map(|entry| entry.tenant.as_ref()) else {
            return Ok(());
        };
        let Tenant { slug, .. } = tenant;
        let now = self.0.clock.now();
        let mut work = self.0.stores.begin(tenant).await?;
        let revoked =
            work.refresh_tokens().revoke_family(person.session, now, RevocationReason::Logout).await;
        let revoked = revoked.map_err(|error| refused(&error))?;
        let denied = work.denied_jtis().insert(&person.token_id, person.expires_at).await;
        denied.map_err(|error| refused(&error))?;
        let event = revoked.then(|| ended(requester, slug, person.user, person.session));
        self.0.stores.commit_told(work, event.as_slice()).await
    }
}

fn ended<'a>(requester: &'a Requester, tenant: &'a Slug, user: UserId, session: FamilyId) -> Event<'a> {
    Event {
        requester,
        action: Action::Logout,
        outcome: Outcome::Ok,
        tenant,
        actor: Some(user),
        target: Some(session.0),
        client_id: None,
    }
}
