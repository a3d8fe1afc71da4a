//! Administration of the control plane: tenants, clients, scopes and keys (EP100-EP106, EP109, EP110), their user
//! databases (EP107, EP108), their accounts (EP120-EP130), security events (EP132), and the cluster itself and snapshots of a node's state (EP131).
//!
//! Handlers extract, call one service function and map its answer. Must never answer with a sealed value or the
//! hash of a secret: documents leave through the types of `shown`, which cannot hold one.

mod answer;
pub mod audit;
mod body;
mod clients;
mod cluster;
pub mod consents;
mod import_users;
mod keys;
#[cfg(feature = "next-format")]
mod next;
mod ping;
pub mod rbac;
mod scopes;
mod shown;
mod snapshot;
mod tenants;
pub mod user_store;
pub mod users;

use axum::extract::FromRef;

use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;
use crate::service::control::ControlService;
use crate::service::user_store::UserStores;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    ControlService: FromRef<S>,
    UserStores: FromRef<S>,
    AccountService: FromRef<S>,
{
    use Auth::Admin;
    use Plane::{Control, User};
    use Verb::{Delete, Get, Post, Put};
    const TENANTS: &str = "/v1/admin/tenants";
    const TENANT: &str = "/v1/admin/tenants/{slug}";
    const CLIENTS: &str = "/v1/admin/tenants/{slug}/clients";
    const CLIENT: &str = "/v1/admin/tenants/{slug}/clients/{client_id}";
    const SECRET: &str = "/v1/admin/tenants/{slug}/clients/{client_id}/secret";
    const REVOKE: &str = "/v1/admin/tenants/{slug}/clients/{client_id}/revoke";
    const SCOPES: &str = "/v1/admin/tenants/{slug}/scopes";
    const KEYS: &str = "/v1/admin/tenants/{slug}/keys";
    const ROTATE: &str = "/v1/admin/tenants/{slug}/keys/rotate";
    let surface = Surface::new();
    #[cfg(feature = "next-format")]
    let surface = surface.route(Post, "/v1/admin/tenants/{slug}/rename", Control, Admin, next::rename);
    surface
        .route(Get, "/v1/admin/ping", User, Admin, ping::ping)
        .route(Get, TENANTS, Control, Admin, tenants::list)
        .route(Get, TENANT, Control, Admin, tenants::get)
        .route(Put, TENANT, Control, Admin, tenants::put)
        .route(Delete, TENANT, Control, Admin, tenants::delete)
        .route(Get, CLIENTS, Control, Admin, clients::list)
        .route(Get, CLIENT, Control, Admin, clients::get)
        .route(Put, CLIENT, Control, Admin, clients::put)
        .route(Delete, CLIENT, Control, Admin, clients::delete)
        .route(Post, SECRET, Control, Admin, clients::rotate_secret)
        .route(Post, REVOKE, User, Admin, clients::revoke)
        .route(Get, SCOPES, Control, Admin, scopes::get)
        .route(Put, SCOPES, Control, Admin, scopes::put)
        .route(Get, KEYS, Control, Admin, keys::list_tenant)
        .route(Post, ROTATE, Control, Admin, keys::rotate_tenant)
        .route(Get, "/v1/admin/keys", Control, Admin, keys::list_global)
        .route(Post, "/v1/admin/keys/rotate", Control, Admin, keys::rotate_global)
        .route(Get, "/v1/admin/cluster", Control, Admin, cluster::get)
        .route(Post, "/v1/admin/cluster/members", Control, Admin, cluster::add)
        .route(Post, "/v1/admin/cluster/members/{id}/promote", Control, Admin, cluster::promote)
        .route(Delete, "/v1/admin/cluster/members/{id}", Control, Admin, cluster::remove)
        .route(Post, "/v1/admin/cluster/step-down", Control, Admin, cluster::step_down)
        .route(Post, "/v1/admin/cluster/snapshot", User, Admin, snapshot::save)
        .merge(audit::surface())
        .merge(import_users::surface())
        .merge(user_store::surface())
        .merge(users::surface())
        .merge(rbac::surface())
        .merge(consents::surface())
}
