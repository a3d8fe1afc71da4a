//! Create, change and delete tenants.

use std::sync::Arc;

use hellojohn_control::documents::{Alg, IssuerMode, NewKey, Patch, Tenant, TenantPatch, TenantStatus};
use hellojohn_control::{Command, Outcome, Reject, Slug, TenantEntry};

use super::cleanup::{Cleanup, Deleted, TokenRevoker, attempt};
use super::keys::check_known_to_all;
use super::tenant_rules::Installation;
use super::{ControlService, errors, unexpected};
use crate::cluster::ProposeError;
use crate::crypto::secret::SecretString;
use crate::service::{Error, Result, WriteContext};

/// A merge patch of a tenant as a caller sends it: secrets are plaintext that has not been sealed yet.
pub type TenantInput = TenantPatch<SecretString>;

/// How often a write is tried again when the state changed between making a key and using it.
const KEY_ATTEMPTS: usize = 3;

impl ControlService {
    /// Creates or changes a tenant; answers with the document, whether it is new, and the log index. The sessions of
    /// one that is suspended end, and do not come back with it.
    ///
    /// # Errors
    /// `validation_failed`, `precondition_failed`, and the cluster's refusals.
    pub async fn put_tenant(
        &self,
        context: &WriteContext,
        slug: &Slug,
        input: TenantInput,
        tokens: &dyn TokenRevoker,
    ) -> Result<(Arc<Tenant>, bool, u64)> {
        let (tenant, created, index) = self.write_tenant(context, slug, input).await?;
        if tenant.status == TenantStatus::Suspended && !context.was_replayed() {
            // What cannot be done now is done by the job.
            attempt(tokens.revoke_tenant(&tenant, false, self.plane.now())).await;
        }
        Ok((tenant, created, index))
    }

    async fn write_tenant(
        &self,
        context: &WriteContext,
        slug: &Slug,
        input: TenantInput,
    ) -> Result<(Arc<Tenant>, bool, u64)> {
        let view = self.plane.view();
        self.installation(view.global_issuer()).check(slug, &input)?;
        let wanted_algs = wanted_algs(&input);
        for alg in wanted_algs.iter().flatten() {
            check_known_to_all(*alg, view.format())?;
        }
        let wants_path = wants_path(&input);
        let patch = self.sealing.seal_patch(slug, input).map_err(errors::unsealable)?;
        let mut new_keys = self.missing_keys(slug, wants_path, wanted_algs.as_deref()).await?;
        for _ in 0..KEY_ATTEMPTS {
            let command =
                Command::PutTenant { slug: slug.clone(), patch: patch.clone(), new_keys: new_keys.clone() };
            match self.write(context, command).await {
                Ok(written) => {
                    return match written.outcome {
                        Outcome::Tenant { created, tenant } => Ok((tenant, created, written.index)),
                        other => Err(unexpected(&other)),
                    };
                }
                Err(ProposeError::Rejected(Reject::KeyNeeded { alg })) => {
                    new_keys.push(self.mint_key(Some(slug), alg).await?);
                }
                Err(error) => return Err(self.refused(error)),
            }
        }
        Err(Error::internal("the tenant's settings kept changing while its keys were being made"))
    }

    /// Gives a tenant another name by a command that older releases do not know.
    ///
    /// # Errors
    /// `upgrade_pending` while there are members of such a release, and those of [`Self::put_tenant`].
    #[cfg(feature = "next-format")]
    pub async fn rename_tenant(&self, context: &WriteContext, slug: Slug, name: String) -> Result<()> {
        let written = self.write(context, Command::RenameTenant { slug, name }).await;
        written.map(drop).map_err(|e| self.refused(e))
    }

    /// Removes a tenant with its clients, scopes and keys, then revokes the refresh tokens of its people.
    ///
    /// # Errors
    /// `tenant_not_found`, `validation_failed` for a tenant of administrators, `precondition_failed`, and the
    /// cluster's refusals.
    pub async fn delete_tenant(
        &self,
        context: &WriteContext,
        slug: &Slug,
        tokens: &dyn TokenRevoker,
    ) -> Result<Deleted> {
        if !self.was_done(context) {
            self.installation(self.plane.view().global_issuer()).check_deletion(slug)?;
        }
        // Which database the people are in is known only while the tenant exists.
        let entry = self.tenant_to_delete(context, slug)?;
        let command = Command::DeleteTenant { slug: slug.clone() };
        let written = self.write(context, command).await.map_err(|e| self.refused(e))?;
        match (written.outcome, entry) {
            (Outcome::TenantDeleted, Some(entry)) if !context.was_replayed() => {
                let cleanup = attempt(tokens.revoke_tenant(&entry.tenant, true, self.plane.now())).await;
                Ok(Deleted { index: written.index, cleanup })
            }
            // Done before: what was left to do then is the job's, and a tenant of this slug is another one.
            (Outcome::TenantDeleted, _) => Ok(Deleted { index: written.index, cleanup: Cleanup::Done }),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// The tenant that a deletion is about. It may be gone where the request carries a key: then it may have been done.
    pub(super) fn tenant_to_delete(
        &self,
        context: &WriteContext,
        slug: &Slug,
    ) -> Result<Option<Arc<TenantEntry>>> {
        match self.tenant(slug) {
            Ok(entry) => Ok(Some(entry)),
            Err(_) if context.idempotency.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn installation<'a>(&'a self, global_issuer: &'a str) -> Installation<'a> {
        Installation { admin_tenants: &self.defaults.admin_tenants, global_issuer }
    }

    /// Keys that the tenant will need and does not have, made before the proposal and off its path.
    async fn missing_keys(&self, slug: &Slug, wants_path: bool, algs: Option<&[Alg]>) -> Result<Vec<NewKey>> {
        let view = self.plane.view();
        let entry = view.tenant(slug);
        let is_path = entry.is_some_and(|entry| entry.tenant.settings.issuer_mode == IssuerMode::Path);
        if !wants_path && !is_path {
            return Ok(Vec::new());
        }
        let current = entry.map_or(&[Alg::EdDsa][..], |entry| &entry.tenant.settings.signing_algs);
        let mut made = Vec::new();
        for alg in algs.unwrap_or(current) {
            if entry.is_none_or(|entry| entry.keys.active(*alg).is_none()) {
                made.push(self.mint_key(Some(slug), *alg).await?);
            }
        }
        Ok(made)
    }
}

fn wants_path(input: &TenantInput) -> bool {
    input.settings.as_set().and_then(|s| s.issuer_mode.as_set()) == Some(&IssuerMode::Path)
}

fn wanted_algs(input: &TenantInput) -> Option<Vec<Alg>> {
    match input.settings.as_set().map(|settings| &settings.signing_algs) {
        Some(Patch::Set(algs)) => Some(algs.clone()),
        Some(Patch::Clear) => Some(vec![Alg::EdDsa]),
        Some(Patch::Keep) | None => None,
    }
}
