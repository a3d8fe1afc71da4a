//! Which tenant and client a hosted page is for, and how it looks (spec §13.8).

use std::sync::Arc;

use hellojohn_control::documents::{Branding, Client};
use hellojohn_control::{ClientId, Slug, TenantEntry};

use super::place::only_tenant_of;
use super::{OAuthService, Whereabouts};
use crate::service::{Code, Error, Result};

/// What a page is for.
#[derive(Debug, Clone)]
pub struct Hosted {
    entry: Arc<TenantEntry>,
    client: Option<Arc<Client>>,
}

impl Hosted {
    /// The tenant.
    pub fn tenant(&self) -> &Slug {
        &self.entry.tenant.slug
    }

    /// The name that people know the tenant by.
    pub fn app(&self) -> &str {
        let shown = self.branding().and_then(|branding| branding.display_name.as_deref());
        shown.unwrap_or(&self.entry.tenant.name)
    }

    /// How its pages look.
    pub fn branding(&self) -> Option<&Branding> {
        self.entry.tenant.settings.branding.as_ref()
    }

    /// The client that the person comes from.
    pub fn client(&self) -> Option<&Client> {
        self.client.as_deref()
    }
}

impl OAuthService {
    /// The tenant that a page is asked for, and the client if one is named: the tenant that is said, else the only one that has
    /// the client.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`; `invalid_parameter` where nothing says which tenant is meant.
    pub fn hosted(&self, whereabouts: &Whereabouts, client_id: Option<&ClientId>) -> Result<Hosted> {
        let view = self.0.plane.view();
        let entry = match (whereabouts.slug()?, client_id) {
            (Some(slug), _) => view.tenant(&slug).cloned().ok_or(Code::TenantNotFound)?,
            (None, Some(client_id)) => only_tenant_of(&view, client_id)?,
            (None, None) => {
                return Err(Error::bad_input(Code::InvalidParameter, "nothing says which tenant is meant"));
            }
        };
        let client = match client_id {
            None => None,
            Some(id) => Some(entry.clients.get(id).cloned().ok_or(Code::ClientNotFound)?),
        };
        Ok(Hosted { entry, client })
    }
}
