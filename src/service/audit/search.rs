//! Look for security events (EP132).

use hellojohn_control::Slug;

use crate::domain::audit::SYSTEM;
use crate::service::user_store::{UserStores, refused};
use crate::service::{Error, Result};
use crate::store::pg::audit::{AuditPlace, AuditQuery, KeptEvent};

/// Whose events are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantName {
    /// Those of a tenant, which need not exist any more.
    Tenant(Slug),
    /// Those of the cluster and its nodes.
    System,
}

impl TenantName {
    fn as_str(&self) -> &str {
        match self {
            Self::Tenant(slug) => slug.as_str(),
            Self::System => SYSTEM,
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSearch {
    /// Whose; without it those of all that are in the global database.
    pub tenant: Option<TenantName>,
    /// Which.
    pub query: AuditQuery,
}

impl UserStores {
    /// At most `limit` events, newest first, after `after`. Those of a tenant with a database of its own are read there and in
    /// the global one, where what the control plane tells of it is.
    ///
    /// # Errors
    /// `storage_unavailable`; `tenant_db_error` when the tenant's DSN does not open on this node.
    pub async fn events(
        &self,
        search: &AuditSearch,
        after: Option<AuditPlace>,
        limit: usize,
    ) -> Result<Vec<KeptEvent>> {
        let own = match &search.tenant {
            Some(TenantName::Tenant(slug)) => self.own_database(slug)?,
            Some(TenantName::System) | None => None,
        };
        let global = self.pools().global();
        if own.is_none() && global.is_none() {
            return Err(Error::storage_unavailable("STORAGE_DSN is not set")
                .detail("this node has no global database, which has the security events: set STORAGE_DSN"));
        }
        let tenant = search.tenant.as_ref().map(TenantName::as_str);
        let mut found = Vec::new();
        for database in own.iter().chain(global) {
            let page = database.audit_page(tenant, &search.query, after, limit).await;
            found.extend(page.map_err(|error| refused(&error))?);
        }
        found.sort_unstable_by_key(|event| std::cmp::Reverse(event.place));
        // A tenant's own database may be the global one under another name.
        found.dedup_by_key(|event| event.place);
        found.truncate(limit);
        Ok(found)
    }
}
