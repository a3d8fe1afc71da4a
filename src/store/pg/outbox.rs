//! The outbox as those who send from it see it: mails of all tenants of a database (spec §6 EP050-3).
//!
//! Who takes a mail pushes its next attempt to the end of a lease, so that nobody else takes it meanwhile and everybody
//! can when the lease has ended unfinished. A mail is therefore sent at least once, and twice only when its sender died
//! between the server's word and ours. Like `maintenance` the statements name no tenant, or a list of them.

use hellojohn_control::{Sealed, Slug, Timestamp};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::mail::MailKind;
use crate::store::database::Database;
use crate::store::error::Error;

/// A mail that was taken from the outbox, to be sent until the lease ends.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The tenant.
    pub tenant: Slug,
    /// Its row.
    pub id: Uuid,
    /// What it says.
    pub kind: MailKind,
    /// Recipient and link.
    pub sealed: Sealed,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it is of no more use.
    pub expires_at: Timestamp,
    /// How often it was taken, this time too.
    pub attempts: u32,
    /// How often a server said no.
    pub refusals: u32,
}

/// Why a mail is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadReason {
    /// Its link has expired.
    Expired,
    /// The server will not have it.
    Rejected,
    /// It does not open here or anywhere.
    Unreadable,
}

impl DeadReason {
    /// The name in the database and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What waits in the outbox of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many mails.
    pub count: u64,
    /// When the oldest was written.
    pub oldest: Option<Timestamp>,
}

const DUE: &str = "SELECT DISTINCT tenant FROM mail_outbox WHERE dead_at IS NULL AND next_attempt_at <= $1";

const TAKE: &str = "UPDATE mail_outbox o SET attempts = o.attempts + 1, next_attempt_at = $2 FROM ( \
        SELECT tenant, id FROM mail_outbox WHERE dead_at IS NULL AND next_attempt_at <= $1 AND tenant = ANY($3) \
        ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED) due \
    WHERE o.tenant = due.tenant AND o.id = due.id \
    RETURNING o.tenant, o.id, o.kind, o.sealed, o.created_at, o.expires_at, o.attempts, o.refusals";

const SENT: &str = "DELETE FROM mail_outbox WHERE tenant = $1 AND id = $2 AND attempts = $3";

const POSTPONE: &str = "UPDATE mail_outbox SET next_attempt_at = $4, refusals = refusals + $5 \
    WHERE tenant = $1 AND id = $2 AND attempts = $3 AND dead_at IS NULL";

const BURY: &str = "UPDATE mail_outbox SET dead_at = $4, dead_reason = $5, sealed = '' \
    WHERE tenant = $1 AND id = $2 AND attempts = $3 AND dead_at IS NULL";

const WAITING: &str = "SELECT count(*), min(created_at) FROM mail_outbox WHERE dead_at IS NULL";

#[derive(FromRow)]
struct Row {
    tenant: String,
    id: Uuid,
    kind: String,
    sealed: String,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    attempts: i32,
    refusals: i32,
}

impl TryFrom<Row> for Taken {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let bad = |column: &str, why: &dyn std::fmt::Display| {
            Error::internal("decode", format!("column mail_outbox.{column}: {why}"))
        };
        Ok(Self {
            tenant: Slug::parse(&row.tenant).map_err(|why| bad("tenant", &why))?,
            id: row.id,
            kind: row.kind.parse().map_err(|why| bad("kind", &why))?,
            sealed: Sealed::parse(&row.sealed).map_err(|why| bad("sealed", &why))?,
            created_at: from_db(row.created_at),
            expires_at: from_db(row.expires_at),
            attempts: u32::try_from(row.attempts).map_err(|why| bad("attempts", &why))?,
            refusals: u32::try_from(row.refusals).map_err(|why| bad("refusals", &why))?,
        })
    }
}

impl Database {
    /// The tenants with mails that are due at `now`.
    pub async fn tenants_with_due_mails(&self, now: Timestamp) -> Result<Vec<String>, Error> {
        let query = sqlx::query_scalar(DUE).bind(to_db(now));
        self.alone("outbox.due", async |connection| query.fetch_all(connection).await).await
    }

    /// Takes at most `limit` mails of these tenants that are due at `now`, until `lease_end`. What another sender holds is left
    /// out.
    pub async fn take_mails(
        &self,
        tenants: &[String],
        now: Timestamp,
        lease_end: Timestamp,
        limit: u32,
    ) -> Result<Vec<Taken>, Error> {
        const NAME: &str = "outbox.take";
        let query =
            sqlx::query(TAKE).bind(to_db(now)).bind(to_db(lease_end)).bind(tenants).bind(i64::from(limit));
        let rows: Vec<PgRow> = self.alone(NAME, async |connection| query.fetch_all(connection).await).await?;
        // A row that this release cannot read, perhaps of a newer one, must not hold up the others that were taken with it.
        let read = |row: &PgRow| {
            Taken::try_from(Row::from_row(row).map_err(|error| Error::from_sqlx(NAME, &error))?)
        };
        Ok(rows
            .iter()
            .filter_map(|row| {
                read(row)
                    .inspect_err(|error| tracing::warn!(context = ?error.context(), "a mail cannot be read; it is left"))
                    .ok()
            })
            .collect())
    }

    /// A server has the mail. False if somebody else took it meanwhile.
    pub async fn mail_sent(&self, mail: &Taken) -> Result<bool, Error> {
        let query = sqlx::query(SENT).bind(mail.tenant.as_str()).bind(mail.id).bind(attempts(mail));
        let done = self.alone("outbox.sent", async |connection| query.execute(connection).await).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The mail is tried again at `next`; `refused` if a server answered and said no.
    pub async fn postpone_mail(&self, mail: &Taken, next: Timestamp, refused: bool) -> Result<bool, Error> {
        let query = sqlx::query(POSTPONE)
            .bind(mail.tenant.as_str())
            .bind(mail.id)
            .bind(attempts(mail))
            .bind(to_db(next))
            .bind(i32::from(refused));
        let done = self.alone("outbox.postpone", async |connection| query.execute(connection).await).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The mail is given up; what it said is wiped.
    pub async fn bury_mail(&self, mail: &Taken, reason: DeadReason, now: Timestamp) -> Result<bool, Error> {
        let query = sqlx::query(BURY)
            .bind(mail.tenant.as_str())
            .bind(mail.id)
            .bind(attempts(mail))
            .bind(to_db(now))
            .bind(reason.as_str());
        let done = self.alone("outbox.bury", async |connection| query.execute(connection).await).await?;
        Ok(done.rows_affected() == 1)
    }

    /// What waits.
    pub async fn mails_waiting(&self) -> Result<Waiting, Error> {
        let query = sqlx::query_as(WAITING);
        let (count, oldest): (i64, Option<OffsetDateTime>) =
            self.alone("outbox.waiting", async |connection| query.fetch_one(connection).await).await?;
        Ok(Waiting { count: u64::try_from(count).unwrap_or(0), oldest: oldest.map(from_db) })
    }
}

fn attempts(mail: &Taken) -> i32 {
    i32::try_from(mail.attempts).unwrap_or(i32::MAX)
}
