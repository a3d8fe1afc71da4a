//! What a client or tenant that was deleted or switched off leaves behind in the user database: live refresh tokens
//! (spec §4, §13.12).
//!
//! They are dead at once on every node, because liveness is checked against the view; here their rows are
//! revoked as well, so that a node which lags refuses them too. What a deletion could not do, because the
//! database was away, [`ControlService::revoke_orphans`] does later. Everything here can be repeated at will.

use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;
use hellojohn_control::documents::{Tenant, TenantStatus};
use hellojohn_control::{Slug, Timestamp, View};
use uuid::Uuid;

use super::ControlService;
use super::each_database::on_each;
use super::sweep::own_databases;
use crate::domain::refresh_token::RevocationReason;
use crate::service::user_store::{UserStores, refused};
use crate::service::{Error, Result};
use crate::store::pg::orphans::{Live, LiveClient};
use crate::store::{Database, Life};

/// Whether what a deletion leaves behind in the user database is gone already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// It is, or there is no database that could hold anything.
    Done,
    /// The database did not answer; a job repeats it. Nothing that was left behind works any more.
    Pending,
}

/// A document was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Log index of the write.
    pub index: u64,
    /// Whether its tokens are revoked in the database too.
    pub cleanup: Cleanup,
}

/// Revokes refresh tokens where a tenant's people are kept.
pub trait TokenRevoker: Send + Sync + Debug {
    /// Revokes every live family of the client with this document id. Does nothing where no database is
    /// configured.
    ///
    /// # Errors
    /// `storage_unavailable` or `tenant_db_error` when the database cannot be used.
    fn revoke_client<'a>(
        &'a self,
        tenant: &'a Tenant,
        client: Uuid,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<()>>;

    /// Revokes every live family of the tenant, and has its database know that it is `deleted`, if it is. Does nothing where no
    /// database is configured.
    ///
    /// # Errors
    /// As [`Self::revoke_client`].
    fn revoke_tenant<'a>(
        &'a self,
        tenant: &'a Tenant,
        deleted: bool,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<()>>;
}

/// How long an answer waits for the database before it says `pending`.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the clean-up waits until this node's view is as new as the rows it has read.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Pairs of tenant and client that are looked at together.
const PORTION: i64 = 1000;

/// Waits for a revocation within the bound of an answer; what goes wrong is left to the job.
pub(super) async fn attempt(revocation: BoxFuture<'_, Result<()>>) -> Cleanup {
    match tokio::time::timeout(PATIENCE, revocation).await {
        Ok(Ok(())) => Cleanup::Done,
        Ok(Err(error)) => {
            tracing::warn!(?error, "refresh tokens of a document are not revoked yet");
            Cleanup::Pending
        }
        Err(_) => {
            tracing::warn!("refresh tokens of a document are not revoked in time");
            Cleanup::Pending
        }
    }
}

impl TokenRevoker for UserStores {
    fn revoke_client<'a>(
        &'a self,
        tenant: &'a Tenant,
        client: Uuid,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.has_none(tenant) {
                return Ok(());
            }
            revoke_client(&self.database(tenant)?, &tenant.slug, client, now).await
        })
    }

    fn revoke_tenant<'a>(
        &'a self,
        tenant: &'a Tenant,
        deleted: bool,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self.has_none(tenant) {
                return Ok(());
            }
            let database = self.database(tenant)?;
            // The pool of a tenant that is gone is let go; this handle keeps it for the last statement.
            self.pools().forget(&tenant.slug);
            revoke_tenant(&database, &tenant.slug, &self.life(tenant), deleted, now).await
        })
    }
}

async fn revoke_client(database: &Database, slug: &Slug, client: Uuid, now: Timestamp) -> Result<()> {
    let mut work = database.begin(slug).await.map_err(|error| refused(&error))?;
    let revoked = work.refresh_tokens().revoke_by_client(client, now, RevocationReason::ClientRevoked).await;
    let families = revoked.map_err(|error| refused(&error))?;
    work.commit().await.map_err(|error| refused(&error))?;
    tracing::info!(target: "audit", action = "client.tokens.revoke", tenant = %slug, %client, families, "tokens revoked");
    Ok(())
}

async fn revoke_tenant(
    database: &Database,
    slug: &Slug,
    life: &Life,
    deleted: bool,
    now: Timestamp,
) -> Result<()> {
    let mut work = database.begin(slug).await.map_err(|error| refused(&error))?;
    // Should nobody have used the tenant since lives are noted, a later one must know all the same whose rows these are.
    let noted = if deleted { work.lives().end(life).await } else { work.lives().note(life).await };
    noted.map_err(|error| refused(&error))?;
    let revoked = work.refresh_tokens().revoke_by_tenant(now, RevocationReason::TenantRevoked).await;
    let families = revoked.map_err(|error| refused(&error))?;
    work.commit().await.map_err(|error| refused(&error))?;
    tracing::info!(target: "audit", action = "tenant.tokens.revoke", tenant = %slug, families, "tokens revoked");
    Ok(())
}

impl ControlService {
    /// Revokes the tokens of clients and tenants that exist no more or are switched off, in the global database and in those of
    /// tenants. The leader's duty; does nothing elsewhere. Idempotent.
    ///
    /// # Errors
    /// A refusal, after every database was tried; the next run goes on.
    pub async fn revoke_orphans(&self, stores: &UserStores) -> Result<()> {
        if self.plane.may_write().is_err() {
            return Ok(());
        }
        let global = async {
            match stores.pools().global() {
                Some(global) => self.revoke_orphans_in(global, None).await,
                None => Ok(()),
            }
        };
        let own = on_each(own_databases(self), |entry| async move {
            self.revoke_orphans_in(&stores.database(&entry.tenant)?, Some(&entry.tenant.slug)).await
        });
        let (global, own) = futures::join!(global, own);
        global.and(own)
    }

    /// `only`: the tenant whose own database it is; rows of others there are none of its business.
    async fn revoke_orphans_in(&self, database: &Database, only: Option<&Slug>) -> Result<()> {
        for what in [Live::Families, Live::Browsers] {
            self.revoke_orphans_of(database, what, only).await?;
        }
        Ok(())
    }

    async fn revoke_orphans_of(&self, database: &Database, what: Live, only: Option<&Slug>) -> Result<()> {
        let mut after = None;
        loop {
            let live = database.live_clients(what, after.as_ref(), PORTION).await;
            let live = live.map_err(|error| refused(&error))?;
            let Some(last) = live.last().cloned() else { return Ok(()) };
            let view = self.view_not_older_than_now().await?;
            let now = self.plane.now();
            for gone in live.iter().filter(|pair| is_orphan(&view, pair, only)) {
                // A text that is no slug was not written by this product.
                let Ok(slug) = Slug::parse(&gone.tenant) else { continue };
                revoke_client(database, &slug, gone.client, now).await?;
            }
            after = Some(last);
        }
    }

    /// A view that has at least every change that any node had applied when this was called: rows that were
    /// read before it belong to clients that it knows, if they exist. A leader's log has every committed entry,
    /// also those that it does not yet know to be committed.
    async fn view_not_older_than_now(&self) -> Result<std::sync::Arc<View>> {
        let index = self.plane.status().await.raft.last_log_index;
        let lost = || Error::no_leader(self.defaults.retry_after);
        if !self.plane.wait_applied(index, CATCH_UP).await {
            return Err(lost());
        }
        self.plane.may_write().map_err(|_| lost())?;
        Ok(self.plane.view())
    }
}

/// Whether the pair names a client that the view does not have, or that is switched off, itself or by its tenant. What goes
/// through no client hangs on the tenant alone.
fn is_orphan(view: &View, pair: &LiveClient, only: Option<&Slug>) -> bool {
    if only.is_some_and(|slug| slug.as_str() != pair.tenant) {
        return false;
    }
    let Ok(slug) = Slug::parse(&pair.tenant) else { return false };
    view.tenant(&slug).is_none_or(|entry| {
        entry.tenant.status == TenantStatus::Suspended
            || !(pair.client.is_nil()
                || entry.clients.values().any(|client| client.id == pair.client && client.enabled))
    })
}
