//! Which origins may call from a browser: those of the configuration, and those of enabled clients of active
//! tenants (spec §5).

use std::collections::BTreeSet;

use arc_swap::ArcSwap;
use hellojohn_control::View;
use hellojohn_control::documents::TenantStatus;

use crate::http::middleware::cors::{Access, OriginList, OriginPolicy};

/// The origins of the configuration and of the view that was last [refreshed](Origins::refresh).
#[derive(Debug)]
pub struct Origins {
    configured: OriginList,
    clients: ArcSwap<BTreeSet<String>>,
}

impl Origins {
    /// The configured origins alone, until the first refresh.
    pub fn new(configured: OriginList) -> Self {
        Self { configured, clients: ArcSwap::default() }
    }

    /// Takes over the origins of the view's clients.
    pub fn refresh(&self, view: &View) {
        let origins = view
            .tenants()
            .values()
            .filter(|entry| entry.tenant.status == TenantStatus::Active)
            .flat_map(|entry| entry.clients.values())
            .filter(|client| client.enabled)
            .flat_map(|client| client.allowed_origins.iter().cloned())
            .collect();
        self.clients.store(std::sync::Arc::new(origins));
    }
}

impl OriginPolicy for Origins {
    fn access(&self, origin: &str, path: &str) -> Access {
        match self.configured.access(origin, path) {
            // An application of a tenant has no business in the administration.
            Access::Refused if !path.starts_with("/v1/admin") && self.clients.load().contains(origin) => {
                Access::Allowed
            }
            access @ (Access::Refused | Access::Allowed | Access::WithCredentials) => access,
        }
    }
}
