//! Create, change and delete clients, and give them new secrets.

use std::sync::Arc;

use hellojohn_control::documents::{Client, ClientPatch};
use hellojohn_control::{ClientId, Command, Outcome, Sealed, Slug};

use super::cleanup::{Cleanup, Deleted, TokenRevoker, attempt};
use super::{ControlService, errors, unexpected};
use crate::cluster::Written;
use crate::crypto::secret::SecretString;
use crate::domain::refresh_token::RevocationReason;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::{UserStores, refused};
use crate::service::{Code, Error, Precondition, Result, WriteContext};

/// A client that was created or changed.
#[derive(Debug)]
pub struct PutClient {
    /// The document.
    pub client: Arc<Client>,
    /// Whether it is new.
    pub created: bool,
    /// Its secret, when one was made: this is the only time it can be seen.
    pub secret: Option<SecretString>,
    /// Log index of the write.
    pub index: u64,
}

impl ControlService {
    /// Creates or changes a client.
    ///
    /// # Errors
    /// `tenant_not_found`, `validation_failed`, `precondition_failed`, and the cluster's refusals.
    pub async fn put_client(
        &self,
        context: &WriteContext,
        slug: &Slug,
        client_id: &ClientId,
        patch: ClientPatch,
        tokens: &dyn TokenRevoker,
    ) -> Result<PutClient> {
        let (secret, new_secret) = self.sealing.new_client_secret();
        let command = Command::PutClient {
            slug: slug.clone(),
            client_id: client_id.clone(),
            patch,
            new_id: self.sealing.new_id(),
            new_secret,
        };
        let sealed = self.sealed_answer(context, slug, &secret)?;
        let written = self.write_with(context, sealed, command).await.map_err(|e| self.refused(e))?;
        let put = self.answer(slug, context, written, secret)?;
        if !put.client.enabled
            && !context.was_replayed()
            && let Ok(entry) = self.tenant(slug)
        {
            // What cannot be done now is done by the job.
            attempt(tokens.revoke_client(&entry.tenant, put.client.id, self.plane.now())).await;
        }
        Ok(put)
    }

    /// Gives a confidential client a new secret; the old ones work on for `overlap_seconds`.
    ///
    /// # Errors
    /// `client_not_found`, `validation_failed` for a public client, and the cluster's refusals.
    pub async fn rotate_client_secret(
        &self,
        context: &WriteContext,
        slug: &Slug,
        client_id: &ClientId,
        overlap_seconds: u32,
    ) -> Result<PutClient> {
        let (text, secret) = self.sealing.new_client_secret();
        let command = Command::RotateClientSecret {
            slug: slug.clone(),
            client_id: client_id.clone(),
            secret,
            overlap_seconds,
        };
        let sealed = self.sealed_answer(context, slug, &text)?;
        let written = self.write_with(context, sealed, command).await.map_err(|e| self.refused(e))?;
        self.answer(slug, context, written, text)
    }

    /// The new secret for a repetition of the request, which must show the same.
    fn sealed_answer(
        &self,
        context: &WriteContext,
        slug: &Slug,
        secret: &SecretString,
    ) -> Result<Option<Sealed>> {
        let Some(asked) = &context.idempotency else { return Ok(None) };
        self.sealing.seal_answer(slug, &asked.key, secret).map(Some).map_err(errors::unsealable)
    }

    fn answer(
        &self,
        slug: &Slug,
        context: &WriteContext,
        written: Written,
        secret: SecretString,
    ) -> Result<PutClient> {
        let Outcome::Client { created, client, secret_taken } = written.outcome else {
            return Err(unexpected(&written.outcome));
        };
        let secret = match (&written.secret, &context.idempotency) {
            _ if !secret_taken => None,
            (Some(sealed), Some(asked)) if context.was_replayed() => {
                Some(self.sealing.open_answer(slug, &asked.key, sealed).map_err(Error::internal)?)
            }
            _ => Some(secret),
        };
        Ok(PutClient { client, created, secret, index: written.index })
    }

    /// Removes a client, then revokes the refresh tokens that are bound to it.
    ///
    /// # Errors
    /// `client_not_found`, `precondition_failed`, and the cluster's refusals.
    pub async fn delete_client(
        &self,
        context: &WriteContext,
        slug: &Slug,
        client_id: &ClientId,
        tokens: &dyn TokenRevoker,
    ) -> Result<Deleted> {
        let entry = self.tenant_to_delete(context, slug)?;
        let command = Command::DeleteClient { slug: slug.clone(), client_id: client_id.clone() };
        let written = self.write(context, command).await.map_err(|e| self.refused(e))?;
        match (written.outcome, entry) {
            (Outcome::ClientDeleted { id }, Some(entry)) if !context.was_replayed() => {
                let cleanup = attempt(tokens.revoke_client(&entry.tenant, id, self.plane.now())).await;
                Ok(Deleted { index: written.index, cleanup })
            }
            // Done before: what was left to do then is the job's.
            (Outcome::ClientDeleted { .. }, _) => {
                Ok(Deleted { index: written.index, cleanup: Cleanup::Done })
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Revokes every refresh token of a client and leaves the client as it is; where the caller made it
    /// conditional, only at that revision.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, `precondition_failed`, `storage_unavailable`.
    pub async fn revoke_client_tokens(
        &self,
        by: &Administrator,
        slug: &Slug,
        client_id: &ClientId,
        precondition: Precondition,
        stores: &UserStores,
    ) -> Result<()> {
        let event = AdminEvent::of_tenant(by, AdminAction::RevokeClient, slug).to(client_id.as_str());
        let result = self.revoke_tokens(&event, slug, client_id, precondition, stores).await;
        stores.judged(&event, result).await
    }

    async fn revoke_tokens(
        &self,
        event: &AdminEvent<'_>,
        slug: &Slug,
        client_id: &ClientId,
        precondition: Precondition,
        stores: &UserStores,
    ) -> Result<()> {
        let entry = self.tenant(slug)?;
        let client = entry.clients.get(client_id).ok_or_else(|| Error::new(Code::ClientNotFound))?;
        let holds = match precondition {
            Precondition::None | Precondition::Any => true,
            Precondition::Revision(revision) => revision == client.revision,
            Precondition::Absent => false,
        };
        if !holds {
            return Err(Error::precondition_failed(Some(client.revision)));
        }
        if stores.has_none(&entry.tenant) {
            return stores.witnessed(event, Ok(())).await;
        }
        let mut work = stores.begin(&entry.tenant).await?;
        let (now, reason) = (self.plane.now(), RevocationReason::ClientRevoked);
        let revoked = work.refresh_tokens().revoke_by_client(client.id, now, reason).await;
        revoked.map_err(|error| refused(&error))?;
        stores.commit_told(work, &[*event]).await
    }
}
