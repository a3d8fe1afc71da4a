//! Which database holds a tenant's people, and what an administrator may do with it (EP107, EP108; spec §4).
//!
//! A tenant with a DSN of its own uses that database alone; every other one is in the global database. Must
//! never fall back from one to the other, and never put a DSN or a part of one into an answer.

use std::sync::Arc;

use hellojohn_control::documents::Tenant;
use hellojohn_control::{Slug, TenantEntry, Timestamp, View};
use uuid::Uuid;

use super::audit::{AdminAction, AdminEvent, Administrator};
use super::{Code, Error, Result};
use crate::cluster::{ControlPlane, Sealing};
use crate::store::migrate::{self, MigrationError, TestedConnection};
use crate::store::{self, Database, Dsn, Life, Pools, UnitOfWork};

/// The user databases of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UserStores {
    plane: ControlPlane,
    pools: Arc<Pools>,
    sealing: Sealing,
}

impl UserStores {
    /// The databases behind `pools`; `sealing` opens the DSNs of tenants.
    pub fn new(plane: ControlPlane, pools: Arc<Pools>, sealing: Sealing) -> Self {
        Self { plane, pools, sealing }
    }

    /// The pools, for health and shutdown.
    pub fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    /// The database that holds the tenant's people.
    ///
    /// # Errors
    /// `storage_unavailable` when no global database is configured or too many tenant databases are in use;
    /// `tenant_db_error` when the tenant's DSN does not open on this node.
    pub fn database(&self, tenant: &Tenant) -> Result<Database> {
        self.database_by(tenant, |dsn| self.pools.tenant(&tenant.slug, dsn))
    }

    fn database_by(
        &self,
        tenant: &Tenant,
        own: impl FnOnce(&Dsn) -> std::result::Result<Database, store::Error>,
    ) -> Result<Database> {
        match self.own_dsn(tenant)? {
            Some(dsn) => own(&dsn).map_err(|error| refused(&error)),
            None => self.pools.global().cloned().ok_or_else(|| {
                Error::storage_unavailable("STORAGE_DSN is not set").detail(
                    "this node has no user database: set STORAGE_DSN, or give the tenant a database of its own",
                )
            }),
        }
    }

    /// Whether no database is configured that could hold the tenant's people.
    pub(super) fn has_none(&self, tenant: &Tenant) -> bool {
        tenant.settings.user_store.is_none() && self.pools.global().is_none()
    }

    /// Begins the one transaction of a request on the tenant's people.
    ///
    /// # Errors
    /// As [`Self::database`], and `storage_unavailable` when the database does not answer, or has people of another life of
    /// the tenant.
    pub async fn begin(&self, tenant: &Tenant) -> Result<UnitOfWork> {
        let database = self.database_by(tenant, |dsn| self.pools.tenant_for_request(&tenant.slug, dsn))?;
        let begun = database.begin_in(&tenant.slug, &self.life(tenant)).await;
        begun.map_err(|error| refused(&error))
    }

    /// Sees to it that `database`, where the tenant's people are, has nobody of a deleted tenant of that name.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn admit(&self, database: &Database, tenant: &Tenant) -> Result<()> {
        database.admit(&tenant.slug, &self.life(tenant)).await.map_err(|error| refused(&error))
    }

    /// Which life of its slug the tenant is.
    pub fn life(&self, tenant: &Tenant) -> Life {
        let view = self.plane.view();
        let cluster = view.formation().map(|formation| formation.cluster_id).unwrap_or_default();
        Life { created_at: tenant.created_at, revision: tenant.revision, cluster }
    }

    /// Connects to the tenant's own database and looks at its version and schema (EP107).
    ///
    /// # Errors
    /// `tenant_not_found`, `tenant_db_missing`, `tenant_db_error`.
    pub async fn test_connection(&self, by: &Administrator, slug: &Slug) -> Result<TestedConnection> {
        let event = AdminEvent::of_tenant(by, AdminAction::TestUserStore, slug);
        self.witnessed(&event, self.tested(slug).await).await
    }

    async fn tested(&self, slug: &Slug) -> Result<TestedConnection> {
        let entry = self.tenant(slug)?;
        let dsn = self.own_dsn(&entry.tenant)?.ok_or_else(missing)?;
        migrate::test_connection(&dsn).await.map_err(|error| failed(&error))
    }

    /// Runs the migrations that the tenant's own database lacks; how many there were (EP108).
    ///
    /// # Errors
    /// `tenant_not_found`, `tenant_db_missing`, `tenant_db_error`.
    pub async fn migrate(&self, by: &Administrator, slug: &Slug) -> Result<usize> {
        let event = AdminEvent::of_tenant(by, AdminAction::MigrateUserStore, slug);
        self.witnessed(&event, self.migrated(slug).await).await
    }

    async fn migrated(&self, slug: &Slug) -> Result<usize> {
        let entry = self.tenant(slug)?;
        let dsn = self.own_dsn(&entry.tenant)?.ok_or_else(missing)?;
        let database = self.pools.tenant(slug, &dsn).map_err(|error| failed(&error))?;
        database.migrate().await.map_err(|error| match error {
            // Its text is made of a version number and a remedy.
            MigrationError::Unknown(_) | MigrationError::Altered(_) => {
                Error::new(Code::TenantDbError).detail(error.to_string())
            }
            MigrationError::Failed(error) => failed(&error),
        })
    }

    /// The tenant's own database, if it exists and has one.
    ///
    /// # Errors
    /// As [`Self::database`].
    pub(super) fn own_database(&self, slug: &Slug) -> Result<Option<Database>> {
        let view = self.view();
        let entry = view.tenant(slug).filter(|entry| entry.tenant.settings.user_store.is_some());
        entry.map(|entry| self.database(&entry.tenant)).transpose()
    }

    /// The catalogue as this node knows it.
    pub(super) fn view(&self) -> Arc<View> {
        self.plane.view()
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.plane.now()
    }

    /// A random UUID.
    pub(super) fn random_id(&self) -> Uuid {
        self.sealing.new_id()
    }

    fn tenant(&self, slug: &Slug) -> Result<Arc<TenantEntry>> {
        self.plane.view().tenant(slug).cloned().ok_or_else(|| Code::TenantNotFound.into())
    }

    fn own_dsn(&self, tenant: &Tenant) -> Result<Option<Dsn>> {
        let Some(own) = &tenant.settings.user_store else { return Ok(None) };
        let unusable =
            || Error::new(Code::TenantDbError).detail("the DSN of the tenant's user database is unusable");
        let text =
            self.sealing.open_dsn(&tenant.slug, &own.dsn).map_err(|error| unusable().context(error))?;
        let text = std::str::from_utf8(text.expose()).map_err(|_| unusable().context("not UTF-8"))?;
        Ok(Some(Dsn::parse(text).map_err(|error| unusable().context(error))?))
    }
}

/// The words in which a failure of a user database is told to somebody who wanted to log in.
pub(crate) fn refused(error: &store::Error) -> Error {
    match error {
        store::Error::Unavailable { context, .. } | store::Error::Conflict(context) => {
            Error::storage_unavailable(format_args!("{error}: {context:?}"))
        }
        store::Error::EmailTaken => Code::EmailTaken.into(),
        store::Error::Internal(context) => Error::internal(format_args!("{error}: {context:?}")),
    }
}

fn missing() -> Error {
    Error::new(Code::TenantDbMissing)
        .detail("the tenant uses the global database; set settings.userStore.dsn to give it one of its own")
}

/// The words in which a failure of a tenant's own database is told to an administrator. The text of a store
/// error is safe for anybody; its context is for the log.
fn failed(error: &store::Error) -> Error {
    let told = Error::new(Code::TenantDbError).detail(error.to_string());
    match error.context() {
        Some(context) => told.context(format_args!("{context:?}")),
        None => told,
    }
}
