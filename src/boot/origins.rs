//! Which origins may call from a browser: those of the configuration, and those of enabled clients of active
//! tenants (spec §5).

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use hellojohn_control::documents::{Client, TenantStatus};
use hellojohn_control::{ClientId, Slug, TenantEntry, View, differences};
use imbl::OrdMap;

use crate::http::middleware::cors::{Access, OriginList, OriginPolicy};

/// How many clients name an origin.
type Counts = OrdMap<String, usize>;
type Clients = OrdMap<ClientId, Arc<Client>>;

/// The origins of the configuration and of the view that was last [refreshed](Origins::refresh).
#[derive(Debug)]
pub struct Origins {
    configured: OriginList,
    counts: ArcSwap<Counts>,
    /// The tenants that were counted.
    counted: Mutex<OrdMap<Slug, Arc<TenantEntry>>>,
}

impl Origins {
    /// The configured origins alone, until the first refresh.
    pub fn new(configured: OriginList) -> Self {
        Self { configured, counts: ArcSwap::default(), counted: Mutex::default() }
    }

    /// Takes over the origins of the view's clients. Looks at what has changed since the last call.
    pub fn refresh(&self, view: &View) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = Counts::clone(&self.counts.load());
        differences(&counted, view.tenants(), |old, new| {
            differences(&clients_of(old), &clients_of(new), |old, new| {
                for origin in origins_of(new) {
                    *counts.entry(origin.clone()).or_default() += 1;
                }
                for origin in origins_of(old) {
                    leave(&mut counts, origin);
                }
            });
        });
        *counted = view.tenants().clone();
        if !counts.ptr_eq(&self.counts.load()) {
            self.counts.store(Arc::new(counts));
        }
    }
}

/// The clients that count: those of an active tenant.
fn clients_of(entry: Option<&Arc<TenantEntry>>) -> Clients {
    let active = entry.filter(|entry| entry.tenant.status == TenantStatus::Active);
    active.map(|entry| entry.clients.clone()).unwrap_or_default()
}

fn origins_of(client: Option<&Arc<Client>>) -> &[String] {
    client.filter(|client| client.enabled).map(|client| client.allowed_origins.as_slice()).unwrap_or_default()
}

fn leave(counts: &mut Counts, origin: &str) {
    match counts.get(origin).copied() {
        Some(count) if count > 1 => drop(counts.insert(origin.to_owned(), count - 1)),
        Some(_) => drop(counts.remove(origin)),
        None => {}
    }
}

impl OriginPolicy for Origins {
    fn access(&self, origin: &str, path: &str) -> Access {
        match self.configured.access(origin, path) {
            // An application of a tenant has no business in the administration.
            Access::Refused if !path.starts_with("/v1/admin") && self.counts.load().contains_key(origin) => {
                Access::Allowed
            }
            access @ (Access::Refused | Access::Allowed | Access::WithCredentials) => access,
        }
    }
}
