//! Where an account is used: the tenant and the client of a request, and whether anybody may log in there now.

use std::sync::Arc;

use hellojohn_control::documents::{Client, TenantStatus};
use hellojohn_control::{ClientId, Slug, TenantEntry, View};

use super::AccountService;
use crate::service::{Code, Result};

/// The way of logging in that this module serves; a name in a client's `providers`.
pub(super) const PASSWORD: &str = "password";

/// A tenant and one of its clients, as one view shows them.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) view: Arc<View>,
    pub(super) entry: Arc<TenantEntry>,
    pub(super) client: Arc<Client>,
}

impl AccountService {
    /// The place that a body names.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, and what [`admit`] refuses.
    pub(super) fn place(&self, tenant: &Slug, client_id: &ClientId) -> Result<Place> {
        let view = self.0.plane.view();
        let entry = view.tenant(tenant).cloned().ok_or(Code::TenantNotFound)?;
        let client = entry.clients.get(client_id).cloned().ok_or(Code::ClientNotFound)?;
        admit(&entry, &client, PASSWORD)?;
        Ok(Place { view, entry, client })
    }
}

/// The policy that every grant asks, at its start and at each use of what it yielded (S35): the tenant is
/// active, the client enabled, and this way of logging in one of the client's.
///
/// # Errors
/// `tenant_suspended`, `client_disabled`, `provider_not_allowed`.
pub(super) fn admit(entry: &TenantEntry, client: &Client, provider: &str) -> Result<()> {
    match entry.tenant.status {
        TenantStatus::Active => {}
        TenantStatus::Suspended => return Err(Code::TenantSuspended.into()),
    }
    if !client.enabled {
        return Err(Code::ClientDisabled.into());
    }
    if !client.providers.iter().any(|allowed| allowed == provider) {
        return Err(Code::ProviderNotAllowed.into());
    }
    Ok(())
}
