//! What people let clients have, in an administrator's hands (EP120-EP124).

use hellojohn_control::{ClientId, ScopeName, Slug};
use uuid::Uuid;

use super::{found, locked};
use crate::domain::consent::Consent;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::UserId;
use crate::service::account::AccountService;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::tokens::granted;
use crate::service::user_store::refused;
use crate::service::{Code, Error, FieldError, Result};
use crate::store::UnitOfWork;
use crate::store::pg::consents::ConsentsOf;

/// Most scopes of a consent.
const MAX_SCOPES: usize = 256;

/// A person and a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The tenant of both.
    pub tenant: Slug,
    /// The person.
    pub user: UserId,
    /// The client.
    pub client_id: ClientId,
}

impl Pair {
    fn object(&self) -> String {
        format!("{}/{}", self.user, self.client_id)
    }
}

impl AccountService {
    /// Adds scopes to a consent, or makes it. One that was revoked is given anew, for these scopes alone.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, `user_not_found`; `validation_failed` for a scope that the client may not have;
    /// `storage_unavailable`.
    pub async fn upsert_consent(
        &self,
        by: &Administrator,
        pair: &Pair,
        scopes: &[ScopeName],
    ) -> Result<Consent> {
        let object = pair.object();
        let event = AdminEvent::of_tenant(by, AdminAction::UpsertConsent, &pair.tenant).to(&object);
        self.0.stores.judged(&event, self.consented(&event, pair, scopes).await).await
    }

    async fn consented(&self, event: &AdminEvent<'_>, pair: &Pair, scopes: &[ScopeName]) -> Result<Consent> {
        let entry = self.entry(&pair.tenant)?;
        let client = entry.clients.get(&pair.client_id).ok_or(Code::ClientNotFound)?;
        if scopes.is_empty() || scopes.len() > MAX_SCOPES {
            let message = format!("must name 1 to {MAX_SCOPES} scopes");
            return Err(Error::invalid_field("scopes", "out_of_range", message));
        }
        let allowed = granted(&entry, client, scopes);
        let not_allowed = |(index, _): (usize, &ScopeName)| {
            let message = "the client may not have this scope: it is not in its document or in the catalogue";
            FieldError::new(format!("scopes[{index}]"), "not_allowed", message)
        };
        let outside = scopes.iter().enumerate().filter(|(_, scope)| !allowed.contains(scope));
        let outside: Vec<FieldError> = outside.map(not_allowed).collect();
        if !outside.is_empty() {
            return Err(Error::invalid(outside));
        }
        let mut unique = scopes.to_vec();
        unique.sort();
        unique.dedup();
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let document = (client.id, &client.client_id);
        let consent = work.consents().upsert(pair.user, document, &unique, self.0.clock.now()).await;
        let consent = consent.map_err(|error| refused(&error))?.ok_or(Code::UserNotFound)?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(consent)
    }

    /// At most `limit` consents of the tenant, or those for one of its clients, by account and client, after `after`. Revoked
    /// ones are among them.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, `storage_unavailable`.
    pub async fn consents(
        &self,
        tenant: &Slug,
        client_id: Option<&ClientId>,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Consent>> {
        let entry = self.entry(tenant)?;
        let of = match client_id {
            None => ConsentsOf::Tenant,
            Some(client_id) => {
                ConsentsOf::Client(entry.clients.get(client_id).ok_or(Code::ClientNotFound)?.id)
            }
        };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let consents = work.consents().list(of, after, limit).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(consents)
    }

    /// At most `limit` consents of a person, after `after`.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn consents_of_user(
        &self,
        tenant: &Slug,
        user: UserId,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Consent>> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        found(&mut work, user).await?;
        let consents = work.consents().list(ConsentsOf::User(user), after, limit).await;
        let consents = consents.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(consents)
    }

    /// Revokes a consent, and the sessions of the person at the client with it. Done twice, it is done once; a client that was
    /// deleted meanwhile can be named, too.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn revoke_consent(&self, by: &Administrator, pair: &Pair) -> Result<()> {
        let object = pair.object();
        let event = AdminEvent::of_tenant(by, AdminAction::RevokeConsent, &pair.tenant).to(&object);
        self.0.stores.judged(&event, self.consent_revoked(&event, pair).await).await
    }

    async fn consent_revoked(&self, event: &AdminEvent<'_>, pair: &Pair) -> Result<()> {
        let entry = self.entry(&pair.tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        locked(&mut work, pair.user).await?;
        let revoked = work.consents().revoke(pair.user, &pair.client_id, self.0.clock.now()).await;
        revoked.map_err(|error| refused(&error))?;
        self.end_sessions_of_pair(event, work, pair).await
    }

    /// Forgets a consent, and revokes the sessions of the person at the client.
    ///
    /// # Errors
    /// As [`Self::revoke_consent`].
    pub async fn delete_consent(&self, by: &Administrator, pair: &Pair) -> Result<()> {
        let object = pair.object();
        let event = AdminEvent::of_tenant(by, AdminAction::DeleteConsent, &pair.tenant).to(&object);
        self.0.stores.judged(&event, self.consent_deleted(&event, pair).await).await
    }

    async fn consent_deleted(&self, event: &AdminEvent<'_>, pair: &Pair) -> Result<()> {
        let entry = self.entry(&pair.tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        locked(&mut work, pair.user).await?;
        let deleted = work.consents().delete(pair.user, &pair.client_id).await;
        deleted.map_err(|error| refused(&error))?;
        self.end_sessions_of_pair(event, work, pair).await
    }

    async fn end_sessions_of_pair(
        &self,
        event: &AdminEvent<'_>,
        mut work: UnitOfWork,
        pair: &Pair,
    ) -> Result<()> {
        let (now, reason) = (self.0.clock.now(), RevocationReason::ConsentRevoked);
        let ended = work.refresh_tokens().revoke_of_pair(pair.user, &pair.client_id, now, reason).await;
        ended.map_err(|error| refused(&error))?;
        self.0.stores.commit_told(work, &[*event]).await
    }
}
