//! Change a tenant's scope catalogue.

use std::sync::Arc;

use hellojohn_control::documents::{Scope, ScopeCatalogue};
use hellojohn_control::{Command, Outcome, ScopeName, ScopesMode, Slug};

use super::scope_use::ConsentedScopes;
use super::{ControlService, unexpected};
use crate::service::{Code, Error, Result, WriteContext};

impl ControlService {
    /// Replaces the catalogue, or merges scopes into it; answers with the catalogue and the log index.
    ///
    /// # Errors
    /// `tenant_not_found`, `validation_failed`, `scope_in_use`, `precondition_failed`, and the cluster's
    /// refusals; `storage_unavailable` when scopes are removed and consents cannot be looked at.
    pub async fn put_scopes(
        &self,
        context: &WriteContext,
        slug: &Slug,
        scopes: Vec<Scope>,
        mode: ScopesMode,
        consents: &dyn ConsentedScopes,
    ) -> Result<(Arc<ScopeCatalogue>, u64)> {
        self.check_unused(slug, &scopes, mode, consents).await?;
        let command = Command::PutScopes { slug: slug.clone(), scopes, mode };
        let written = self.write(context, command).await.map_err(|e| self.refused(e))?;
        match written.outcome {
            Outcome::Scopes { scopes } => Ok((scopes, written.index)),
            other => Err(unexpected(&other)),
        }
    }

    /// A scope that people let clients have is not removed. Somebody who consents between this look and the commit consents to
    /// nothing: what the catalogue does not have, no token gets. A tenant or a scope that is not there is the machine's to refuse.
    async fn check_unused(
        &self,
        slug: &Slug,
        scopes: &[Scope],
        mode: ScopesMode,
        consents: &dyn ConsentedScopes,
    ) -> Result<()> {
        let view = self.plane.view();
        let Some(entry) = view.tenant(slug) else { return Ok(()) };
        let stays =
            |had: &Scope| mode == ScopesMode::Merge || scopes.iter().any(|scope| scope.name == had.name);
        let removed = entry.scopes.scopes.iter().filter(|had| !stays(had)).map(|had| had.name.clone());
        let removed: Vec<ScopeName> = removed.collect();
        if removed.is_empty() {
            return Ok(());
        }
        match consents.in_use(&entry.tenant, &removed).await? {
            None => Ok(()),
            Some(scope) => Err(Error::new(Code::ScopeInUse)
                .detail(format!("people let clients have the scope {scope}; revoke those consents first"))),
        }
    }
}
