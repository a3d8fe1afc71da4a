//! Change a tenant's scope catalogue.

use std::sync::Arc;

use hellojohn_control::documents::{Scope, ScopeCatalogue};
use hellojohn_control::{Command, Outcome, ScopesMode, Slug};

use super::{ControlService, unexpected};
use crate::service::{Result, WriteContext};

impl ControlService {
    /// Replaces the catalogue, or merges scopes into it; answers with the catalogue and the log index.
    ///
    /// # Errors
    /// `tenant_not_found`, `validation_failed`, `scope_in_use`, `precondition_failed`, and the cluster's
    /// refusals.
    pub async fn put_scopes(
        &self,
        context: &WriteContext,
        slug: &Slug,
        scopes: Vec<Scope>,
        mode: ScopesMode,
    ) -> Result<(Arc<ScopeCatalogue>, u64)> {
        let command = Command::PutScopes { slug: slug.clone(), scopes, mode };
        let written = self.write(context, command).await.map_err(|e| self.refused(e))?;
        match written.outcome {
            Outcome::Scopes { scopes } => Ok((scopes, written.index)),
            other => Err(unexpected(&other)),
        }
    }
}
