//! Where an account is used: the tenant and the client of a request, whether anybody may log in there now, and what for.

use std::sync::Arc;

use hellojohn_control::documents::Client;
use hellojohn_control::{ClientId, Slug, TenantEntry, View};

use super::AccountService;
use super::mail_link::admit_tenant;
use crate::domain::browser_session::ClientRef;
use crate::domain::mfa::PendingGoal;
use crate::domain::return_to::ReturnTo;
use crate::service::{Code, Result};

/// The way of logging in that this module serves; a name in a client's `providers`.
pub(in crate::service) const PASSWORD: &str = "password";

/// A tenant and one of its clients, as one view shows them.
#[derive(Debug, Clone)]
pub(in crate::service) struct Place {
    pub(in crate::service) view: Arc<View>,
    pub(in crate::service) entry: Arc<TenantEntry>,
    pub(in crate::service) client: Arc<Client>,
}

/// Where the session of a browser is started: a tenant, and the client that it goes through, if it goes through one.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) entry: Arc<TenantEntry>,
    pub(super) client: Option<Arc<Client>>,
    /// Where its owner wants to go then.
    pub(super) return_to: Option<ReturnTo>,
}

/// What a login is for. Both goals are reached through the same questions.
#[derive(Debug)]
pub(super) enum Goal {
    /// Tokens for a client.
    Tokens(Place),
    /// The session of a browser.
    Browser(Visit),
}

impl Goal {
    pub(super) fn entry(&self) -> &Arc<TenantEntry> {
        match self {
            Self::Tokens(place) => &place.entry,
            Self::Browser(visit) => &visit.entry,
        }
    }

    pub(super) fn client(&self) -> Option<&Client> {
        match self {
            Self::Tokens(place) => Some(&place.client),
            Self::Browser(visit) => visit.client.as_deref(),
        }
    }

    /// The name of the client, for the record.
    pub(super) fn client_id(&self) -> Option<&str> {
        self.client().map(|client| client.client_id.as_str())
    }

    /// The goal as the first half of a login keeps it.
    pub(super) fn pending(&self) -> PendingGoal {
        match self {
            Self::Tokens(place) => PendingGoal::Tokens(ref_of(&place.client)),
            Self::Browser(Visit { client, return_to, .. }) => {
                PendingGoal::Browser { client: client.as_deref().map(ref_of), return_to: return_to.clone() }
            }
        }
    }
}

/// The client as a session remembers it.
pub(in crate::service) fn ref_of(client: &Client) -> ClientRef {
    ClientRef { uuid: client.id, client_id: client.client_id.clone() }
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

    /// Where a body wants the session of a browser.
    ///
    /// # Errors
    /// As [`Self::place`]; without a client there is none to refuse anybody.
    pub(super) fn visit(
        &self,
        tenant: &Slug,
        client_id: Option<&ClientId>,
        return_to: Option<ReturnTo>,
    ) -> Result<Visit> {
        if let Some(client_id) = client_id {
            let Place { entry, client, .. } = self.place(tenant, client_id)?;
            return Ok(Visit { entry, client: Some(client), return_to });
        }
        let entry = self.0.plane.view().tenant(tenant).cloned().ok_or(Code::TenantNotFound)?;
        admit_tenant(&entry.tenant)?;
        Ok(Visit { entry, client: None, return_to })
    }
}

/// The policy that every grant asks, at its start and at each use of what it yielded (S35): the tenant is
/// active, the client enabled, and this way of logging in one of the client's.
///
/// # Errors
/// `tenant_suspended`, `client_disabled`, `provider_not_allowed`.
pub(in crate::service) fn admit(entry: &TenantEntry, client: &Client, provider: &str) -> Result<()> {
    admit_tenant(&entry.tenant)?;
    if !client.enabled {
        return Err(Code::ClientDisabled.into());
    }
    if !client.providers.iter().any(|allowed| allowed == provider) {
        return Err(Code::ProviderNotAllowed.into());
    }
    Ok(())
}
