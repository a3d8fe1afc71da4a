//! Security events (spec §10): each as a JSON log line, as a metric, and as a row in the database of its tenant.
//!
//! The one place where an event is told. What was done is told by [`UserStores::commit_told`] and nothing else: its row is
//! part of the transaction that it tells of, so a change that is kept has its row and one that is not has none; the line
//! and the metric follow the commit. What was refused has no transaction of its own that is kept, unless something was
//! counted in it: [`UserStores::refuse`] writes its row alone, does not wait for the disk, and lets nothing of it change
//! the answer. docs/decisions/0025 says what has no row.
//!
//! Lines are written through `tracing` under the target `audit`, at level info.

mod event;
mod search;

pub use event::{AdminEvent, Administrator, Event, Requester};
pub use search::{AuditSearch, TenantName};

use std::time::Duration;

use hellojohn_control::{Slug, Timestamp};
use uuid::Uuid;

pub use crate::domain::audit::{Action, AdminAction, Outcome};

use super::user_store::{UserStores, refused};
use super::{Code, Error, Result};
use crate::domain::audit::{Record, SYSTEM};
use crate::store::{Database, UnitOfWork};

/// How long a request waits until the row of a refusal is written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that can be told.
pub trait Told: Copy + Send + Sync {
    /// The row of it.
    fn record(&self, id: Uuid, at: Timestamp) -> Record<'_>;

    /// Its tenant; none for what is done to a node.
    fn tenant(&self) -> Option<&Slug>;

    /// Whether its row goes to the global database, although its tenant may have a database of its own.
    fn is_about_the_database(&self) -> bool;

    /// The same, ended otherwise.
    #[must_use]
    fn ended(self, outcome: Outcome) -> Self;

    /// Writes the line and counts it.
    fn tell(&self);
}

impl Told for Event<'_> {
    fn record(&self, id: Uuid, at: Timestamp) -> Record<'_> {
        Event::record(self, id, at)
    }

    fn tenant(&self) -> Option<&Slug> {
        Some(self.tenant)
    }

    fn is_about_the_database(&self) -> bool {
        false
    }

    fn ended(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    fn tell(&self) {
        let (action, outcome) = (self.action.as_str(), self.outcome.as_str());
        metrics::counter!("hellojohn_auth_events_total", "action" => action, "outcome" => outcome)
            .increment(1);
        tracing::info!(
            target: "audit",
            action,
            outcome,
            reason = self.outcome.reason(),
            tenant = self.tenant.as_str(),
            actor = self.actor.map(tracing::field::display),
            // The log line's own `target` is the name of this kind of lines.
            object = self.target.map(tracing::field::display),
            client_id = self.client_id,
            ip = %self.requester.ip,
            user_agent = self.requester.user_agent,
            request_id = self.requester.request_id,
            "security event"
        );
    }
}

impl Told for AdminEvent<'_> {
    fn record(&self, id: Uuid, at: Timestamp) -> Record<'_> {
        AdminEvent::record(self, id, at)
    }

    fn tenant(&self) -> Option<&Slug> {
        self.tenant
    }

    fn is_about_the_database(&self) -> bool {
        matches!(self.action, AdminAction::TestUserStore | AdminAction::MigrateUserStore)
    }

    fn ended(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    fn tell(&self) {
        tracing::info!(
            target: "audit",
            action = self.action.as_str(),
            outcome = self.outcome.as_str(),
            reason = self.outcome.reason(),
            tenant = self.tenant.map(Slug::as_str),
            actor = self.by.actor,
            object = self.object,
            ip = %self.by.requester.ip,
            user_agent = self.by.requester.user_agent,
            request_id = self.by.requester.request_id,
            "administrative action"
        );
    }
}

impl UserStores {
    /// Commits what was done, with the rows of what it tells, and tells it.
    ///
    /// # Errors
    /// `storage_unavailable`: then nothing was told.
    pub(super) async fn commit_told<E: Told>(&self, mut work: UnitOfWork, events: &[E]) -> Result<()> {
        self.insert(&mut work, events).await?;
        work.commit().await.map_err(|error| refused(&error))?;
        events.iter().for_each(Told::tell);
        Ok(())
    }

    /// As [`Self::commit_told`], without waiting for the disk.
    ///
    /// # Errors
    /// As [`Self::commit_told`].
    pub(super) async fn commit_told_without_waiting_for_disk<E: Told>(
        &self,
        mut work: UnitOfWork,
        events: &[E],
    ) -> Result<()> {
        self.insert(&mut work, events).await?;
        work.commit_without_waiting_for_disk().await.map_err(|error| refused(&error))?;
        events.iter().for_each(Told::tell);
        Ok(())
    }

    async fn insert<E: Told>(&self, work: &mut UnitOfWork, events: &[E]) -> Result<()> {
        let at = self.now();
        for (index, event) in events.iter().enumerate() {
            let record = event.record(self.event_id(at, index), at);
            work.audit().insert(&record).await.map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// Tells of a refusal, with a row of its own unless it is one of those that have none. No transaction may be open.
    pub(super) async fn refuse<E: Told>(&self, event: &E, why: &'static str, error: &Error) {
        let event = event.ended(Outcome::Refused(why));
        match error.code() {
            // Whoever is refused so can be refused as often as they like, or there is no database to write to.
            Code::TooManyRequests | Code::Busy | Code::StorageUnavailable => event.tell(),
            _ => self.tell_alone(&event).await,
        }
    }

    /// Gives the result on; tells of the refusal, if it is one. What was done was told with its commit.
    ///
    /// # Errors
    /// Those of `result`.
    pub(super) async fn judged<T, E: Told>(&self, event: &E, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.refuse(event, error.code().as_str(), error).await;
        }
        result
    }

    /// As [`Self::judged`], for what keeps nothing in a database of ours: tells of the success too.
    ///
    /// # Errors
    /// Those of `result`.
    pub(super) async fn witnessed<T, E: Told>(&self, event: &E, result: Result<T>) -> Result<T> {
        match &result {
            Ok(_) => self.tell_alone(event).await,
            Err(error) => self.refuse(event, error.code().as_str(), error).await,
        }
        result
    }

    async fn tell_alone<E: Told>(&self, event: &E) {
        event.tell();
        let at = self.now();
        let record = event.record(self.event_id(at, 0), at);
        let Some(database) = self.home_of(event) else { return };
        let tenant = event.tenant().map_or(SYSTEM, Slug::as_str);
        match tokio::time::timeout(PATIENCE, database.keep_event(tenant, &record)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, context = ?error.context(), "the row of an event was not written");
            }
            Err(_) => tracing::warn!("the row of an event was not written in time"),
        }
    }

    /// Where the row of an event is written that stands alone: where its tenant's people are, else in the global database.
    fn home_of<E: Told>(&self, event: &E) -> Option<Database> {
        let global = self.pools().global();
        let entry = event.tenant().and_then(|slug| self.view().tenant(slug).cloned());
        match (entry, global) {
            // Whether there is a table yet in the tenant's own database is what is asked there.
            (_, Some(global)) if event.is_about_the_database() => Some(global.clone()),
            (Some(entry), _) => self.database(&entry.tenant).ok(),
            (None, global) => global.cloned(),
        }
    }

    /// A name that sorts by time, and within one transaction by the order of its events (RFC 9562 §5.7, §6.2).
    fn event_id(&self, at: Timestamp, index: usize) -> Uuid {
        let mut random = [0; 10];
        random.copy_from_slice(&self.random_id().as_bytes()[6..]);
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        random[..2].copy_from_slice(&index.to_be_bytes());
        // Of the first byte of a random UUID's second half two bits are fixed; the variant takes them here as well.
        let millis = u64::try_from(at.millis()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
