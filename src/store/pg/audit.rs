//! Security events as rows (spec §10): written with what they tell of, and read newest first (EP132).
//!
//! A page is one walk backwards along one index, so it costs what it passes over, however many rows there are. What narrows
//! it beyond that index is looked at row by row.

use std::fmt;
use std::str::FromStr;

use hellojohn_control::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::audit::Record;
use crate::store::database::Database;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The security events of the unit of work's tenant.
#[derive(Debug)]
pub struct Audit<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// Which events are looked for. Times are half-open: `from` is in, `to` is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only what this one did: `tenant/subject`.
    pub actor: Option<String>,
    /// Only this, by its stable name.
    pub action: Option<String>,
    /// Only what was done to this.
    pub target: Option<String>,
    /// Only what ended so: `ok`, `refused`.
    pub outcome: Option<&'static str>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

impl AuditQuery {
    /// The statement that answers it for one tenant or for all, to be had for a look at its plan. Its parameters are moments
    /// between, the id at the second of them, actor, action, target, outcome, most rows and tenant.
    pub fn statement(&self, tenant: Option<&str>) -> &'static str {
        match (tenant, &self.actor, &self.action) {
            (None, _, _) => OF_ALL,
            (Some(_), Some(_), _) => OF_ACTOR,
            (Some(_), None, Some(_)) => OF_ACTION,
            (Some(_), None, None) => OF_TENANT,
        }
    }
}

/// A place in the order of the events. The newest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// Microseconds since the epoch, as fine as the database keeps them.
    micros: i64,
    id: Uuid,
}

/// A text is no place in the order of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the order of the events")]
pub struct InvalidAuditPlace;

/// An event as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// Where it stands among the others.
    pub place: AuditPlace,
    /// The row's own name.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Slug of the tenant, or `_system`.
    pub tenant: String,
    /// What, by its stable name.
    pub action: String,
    /// `ok`, `refused`.
    pub outcome: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Who: `tenant/subject`.
    pub actor: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// Through which client.
    pub client_id: Option<String>,
    /// Under which request.
    pub request_id: String,
    /// From where.
    pub ip: Option<String>,
    /// With which program.
    pub user_agent: Option<String>,
    /// Of a write of the control plane: its number and the hash that chains it to the one before.
    pub chain: Option<(i64, Vec<u8>)>,
}

/// The last microsecond of the year 9999, the end of RFC 3339.
const MAX_MICROS: i64 = 253_402_300_799_999_999;

impl AuditPlace {
    /// Before everything of this moment.
    fn start_of(moment: Timestamp) -> Self {
        Self { micros: moment.millis().saturating_mul(1000), id: Uuid::nil() }
    }

    /// After everything.
    const END: Self = Self { micros: MAX_MICROS, id: Uuid::max() };

    fn moment(self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(self.micros)
    }
}

impl fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.micros, self.id)
    }
}

impl FromStr for AuditPlace {
    type Err = InvalidAuditPlace;

    fn from_str(text: &str) -> Result<Self, InvalidAuditPlace> {
        let (micros, id) = text.split_once('/').ok_or(InvalidAuditPlace)?;
        let micros = micros.parse().ok().filter(|micros| (0..=MAX_MICROS).contains(micros));
        let id = Uuid::parse_str(id).map_err(|_| InvalidAuditPlace)?;
        Ok(Self { micros: micros.ok_or(InvalidAuditPlace)?, id })
    }
}

const INSERT: &str = "INSERT INTO audit_events (tenant, at, id, action, outcome, reason, actor, target, client_id, request_id, \
    ip, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

// A transaction of one statement, of which the commit does not wait for the disk.
const INSERT_ALONE: &str = "INSERT INTO audit_events (tenant, at, id, action, outcome, reason, actor, target, client_id, \
    request_id, ip, user_agent) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
    FROM set_config('synchronous_commit', 'off', true)";

macro_rules! page {
    ($of:literal) => {
        concat!(
            "SELECT tenant, at, id, action, outcome, reason, actor, target, client_id, request_id, ip, user_agent, chain_seq, \
             chain_hash FROM audit_events WHERE ",
            $of,
            " AND at >= $1 AND at <= $2 AND (at, id) < ($2, $3) AND ($4::text IS NULL OR actor = $4) \
             AND ($5::text IS NULL OR action = $5) AND ($6::text IS NULL OR target = $6) \
             AND ($7::text IS NULL OR outcome = $7) ORDER BY at DESC, id DESC LIMIT $8"
        )
    };
}

// Each says what its index is for, so that it is used.
const OF_ALL: &str = page!("$9::text IS NULL");
const OF_TENANT: &str = page!("tenant = $9");
const OF_ACTOR: &str = page!("tenant = $9 AND actor = $4");
const OF_ACTION: &str = page!("tenant = $9 AND action = $5");

#[derive(FromRow)]
struct Row {
    tenant: String,
    at: OffsetDateTime,
    id: Uuid,
    action: String,
    outcome: String,
    reason: Option<String>,
    actor: Option<String>,
    target: Option<String>,
    client_id: Option<String>,
    request_id: String,
    ip: Option<String>,
    user_agent: Option<String>,
    chain_seq: Option<i64>,
    chain_hash: Option<Vec<u8>>,
}

impl From<Row> for KeptEvent {
    fn from(row: Row) -> Self {
        let micros = i64::try_from(row.at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
        Self {
            place: AuditPlace { micros, id: row.id },
            id: row.id,
            at: from_db(row.at),
            tenant: row.tenant,
            action: row.action,
            outcome: row.outcome,
            reason: row.reason,
            actor: row.actor,
            target: row.target,
            client_id: row.client_id,
            request_id: row.request_id,
            ip: row.ip,
            user_agent: row.user_agent,
            chain: row.chain_seq.zip(row.chain_hash),
        }
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bound<'q>(statement: &'static str, tenant: &'q str, record: &'q Record<'_>) -> Query<'q> {
    sqlx::query(statement)
        .bind(tenant)
        .bind(to_db(record.at))
        .bind(record.id)
        .bind(record.action)
        .bind(record.outcome.as_str())
        .bind(record.outcome.reason())
        .bind(record.actor.as_deref())
        .bind(record.target.as_deref())
        .bind(record.client_id)
        .bind(&record.request_id)
        .bind(&record.ip)
        .bind(record.user_agent.as_deref())
}

impl Audit<'_> {
    /// Keeps an event, if the unit of work is committed.
    pub async fn insert(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("audit.insert")?;
        call.run(bound(INSERT, tenant.as_str(), record).execute(connection)).await?;
        Ok(())
    }
}

impl Database {
    /// Keeps an event of which nothing else is written: visible at once, durable within a second. `tenant` is a slug, or
    /// `_system`.
    pub async fn keep_event(&self, tenant: &str, record: &Record<'_>) -> Result<(), Error> {
        let query = bound(INSERT_ALONE, tenant, record);
        self.alone("audit.keep_event", async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    /// At most `limit` events that fit the query, newest first, after `after`: of one tenant, or of all.
    pub async fn audit_page(
        &self,
        tenant: Option<&str>,
        query: &AuditQuery,
        after: Option<AuditPlace>,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, Error> {
        let to = query.to.map(AuditPlace::start_of);
        let before = [after, to].into_iter().flatten().min().unwrap_or(AuditPlace::END);
        let query = sqlx::query_as::<_, Row>(query.statement(tenant))
            .bind(to_db(query.from.unwrap_or_default()))
            .bind(before.moment())
            .bind(before.id)
            .bind(query.actor.as_deref())
            .bind(query.action.as_deref())
            .bind(query.target.as_deref())
            .bind(query.outcome)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(tenant)
            // Planned anew for these values: a plan for all values sorts what it may not read to the end.
            .persistent(false);
        let rows = self.alone("audit.page", async |connection| query.fetch_all(connection).await).await?;
        Ok(rows.into_iter().map(KeptEvent::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S106
    #[test]
    fn a_place_comes_back_from_its_text_and_nothing_else_is_one() {
        let place = AuditPlace { micros: 1_800_000_000_000_001, id: Uuid::from_u128(7) };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!(AuditPlace::END.to_string().parse(), Ok(AuditPlace::END));
        let id = Uuid::nil();
        for bad in [
            "",
            "1",
            "1/",
            &format!("/{id}"),
            &format!("-1/{id}"),
            &format!("{}/{id}", MAX_MICROS + 1),
            "1/x",
        ] {
            assert_eq!(bad.parse::<AuditPlace>(), Err(InvalidAuditPlace), "{bad}");
        }
    }

    #[test]
    fn newer_is_greater_and_the_end_of_a_range_is_before_its_moment() {
        let at = |millis| Timestamp::from_millis(millis);
        assert!(AuditPlace::start_of(at(2)) > AuditPlace { micros: 1999, id: Uuid::max() });
        assert!(AuditPlace::start_of(at(2)) < AuditPlace { micros: 2000, id: Uuid::from_u128(1) });
        assert!(AuditPlace::END > AuditPlace::start_of(at(i64::MAX)));
    }
}
