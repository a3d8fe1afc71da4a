//! Which tenant and client a request means (spec §13.7). The host says nothing about it.

use std::sync::Arc;

use hellojohn_control::{ClientId, Slug, TenantEntry, View};

use super::OAuthService;
use crate::service::account::Place;
use crate::service::{Code, Error, Result};

/// What a request says about its tenant. All that is said must agree.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    /// `/t/{slug}/…`.
    pub path: Option<Slug>,
    /// The parameter `tenant_id`.
    pub named: Option<String>,
    /// What a code or a token says.
    pub token: Option<Slug>,
}

impl Whereabouts {
    /// The tenant that is meant, if one is.
    ///
    /// # Errors
    /// `invalid_slug`; `invalid_parameter` where two different ones are.
    pub fn slug(&self) -> Result<Option<Slug>> {
        let named = self.named.as_deref().map(Slug::parse).transpose();
        let named =
            named.map_err(|error| Error::bad_input(Code::InvalidSlug, format!("tenant_id: {error}")))?;
        let mut said = [&self.path, &named, &self.token].into_iter().flatten();
        let Some(first) = said.next() else { return Ok(None) };
        if said.all(|other| other == first) {
            return Ok(Some(first.clone()));
        }
        Err(Error::bad_input(Code::InvalidParameter, "the request names two different tenants"))
    }
}

impl OAuthService {
    /// The client of that name in the tenant that is meant, else in the only tenant that has one.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`; `invalid_parameter` where several tenants have such a client and none is named.
    pub(super) fn place(&self, whereabouts: &Whereabouts, client_id: &ClientId) -> Result<Place> {
        let view = self.0.plane.view();
        let entry = match whereabouts.slug()? {
            Some(slug) => view.tenant(&slug).cloned().ok_or(Code::TenantNotFound)?,
            None => only_tenant_of(&view, client_id)?,
        };
        let client = entry.clients.get(client_id).cloned().ok_or(Code::ClientNotFound)?;
        Ok(Place { view, entry, client })
    }
}

pub(super) fn only_tenant_of(view: &View, client_id: &ClientId) -> Result<Arc<TenantEntry>> {
    let mut having = view.tenants().values().filter(|entry| entry.clients.contains_key(client_id));
    match (having.next(), having.next()) {
        (Some(only), None) => Ok(Arc::clone(only)),
        (None, _) => Err(Code::ClientNotFound.into()),
        (Some(_), Some(_)) => Err(Error::bad_input(
            Code::InvalidParameter,
            "several tenants have a client of this name; add tenant_id, or use the address below /t/{slug}",
        )),
    }
}
