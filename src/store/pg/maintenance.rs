//! Removal of rows that are over, for all tenants of a database at once: a place whose statements name no tenant. They look at
//! nothing but the age of a row, and can be repeated and interrupted at will. Each is a job of its own (`jobs`), so that one
//! that fails keeps none of the others from running.

use std::time::Duration;

use hellojohn_control::Timestamp;
use sqlx::Executor as _;

use super::jobs::{Job, Turn};
use super::rows::to_db;
use crate::store::database::Database;
use crate::store::error::Error;

/// Rows touched by one statement at most; a full portion means that there may be more.
const PORTION: u16 = 1000;

/// As [`PORTION`], for families: each takes all its tokens along, some hundred where an application is used all day.
const FAMILIES: u16 = 200;

/// How long a family is kept after its end, so that the use of an old token is still known for what it is.
const KEEP_FAMILIES: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a code is kept after its end, so that its second use is known for what it is (S30).
const KEEP_CODES: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a mail that was given up can be seen.
const KEEP_DEAD_MAILS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A sealed successor must not stay long after its overlap, also where nobody rotates.
const OFTEN: Duration = Duration::from_secs(5);

/// Of no use to anybody, and in nobody's way.
const NOW_AND_THEN: Duration = Duration::from_secs(60);

/// One kind of rows that end.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// What is removed, as in metrics: `overlaps`, `families`.
    pub kind: &'static str,
    job: Job,
    statement: &'static str,
    /// How long a row is kept when it is over.
    keep: Duration,
}

impl Sweep {
    const fn new(
        job: &'static str,
        kind: &'static str,
        statement: &'static str,
        keep: Duration,
        every: Duration,
        portion: u16,
    ) -> Self {
        Self { kind, job: Job { name: job, every, portion: portion as u64 }, statement, keep }
    }
}

/// Everything that ends by itself.
pub const SWEEPS: [Sweep; 12] = [
    // Sealed successors whose overlap was over (spec §13.11).
    Sweep::new("sweep.overlaps", "overlaps", CLEAR_OVERLAPS, Duration::ZERO, OFTEN, PORTION),
    // Denials of access tokens that have ended.
    Sweep::new("sweep.denials", "denials", DELETE_DENIALS, Duration::ZERO, NOW_AND_THEN, PORTION),
    // Families that ended a day ago or longer, with their tokens.
    Sweep::new("sweep.families", "families", DELETE_FAMILIES, KEEP_FAMILIES, NOW_AND_THEN, FAMILIES),
    // First halves of logins that were never finished, secrets that never had a code, devices that are trusted no more.
    Sweep::new("sweep.mfa_tokens", "mfa_tokens", DELETE_MFA_TOKENS, Duration::ZERO, NOW_AND_THEN, PORTION),
    Sweep::new("sweep.enrolments", "enrolments", DELETE_ENROLMENTS, Duration::ZERO, NOW_AND_THEN, PORTION),
    Sweep::new(
        "sweep.trusted_devices",
        "trusted_devices",
        DELETE_TRUSTED_DEVICES,
        Duration::ZERO,
        NOW_AND_THEN,
        PORTION,
    ),
    // Tokens of mailed links that have expired.
    Sweep::new("sweep.mail_tokens", "mail_tokens", DELETE_MAIL_TOKENS, Duration::ZERO, NOW_AND_THEN, PORTION),
    // Mails that were given up, or have expired unsent, a week ago or longer.
    Sweep::new("sweep.mails", "mails", DELETE_DEAD_MAILS, KEEP_DEAD_MAILS, NOW_AND_THEN, PORTION),
    // Devices that were not used for long.
    Sweep::new(
        "sweep.known_devices",
        "known_devices",
        DELETE_KNOWN_DEVICES,
        Duration::ZERO,
        NOW_AND_THEN,
        PORTION,
    ),
    // Browser sessions that have ended by themselves.
    Sweep::new(
        "sweep.browser_sessions",
        "browser_sessions",
        DELETE_BROWSER_SESSIONS,
        Duration::ZERO,
        NOW_AND_THEN,
        PORTION,
    ),
    // Authorization codes that ended a day ago or longer.
    Sweep::new("sweep.codes", "codes", DELETE_CODES, KEEP_CODES, NOW_AND_THEN, PORTION),
    // Used assertions of clients that have expired.
    Sweep::new("sweep.assertions", "assertions", DELETE_ASSERTIONS, Duration::ZERO, NOW_AND_THEN, PORTION),
];

const CLEAR_OVERLAPS: &str = "UPDATE refresh_tokens SET successor_sealed = NULL, overlap_until = NULL \
    WHERE (tenant, id) IN (SELECT tenant, id FROM refresh_tokens WHERE overlap_until <= $1 \
    LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_DENIALS: &str = "DELETE FROM denied_jti WHERE (tenant, jti) IN (SELECT tenant, jti FROM denied_jti \
    WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_FAMILIES: &str = "DELETE FROM token_families WHERE (tenant, id) IN (SELECT tenant, id \
    FROM token_families WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_MFA_TOKENS: &str = "DELETE FROM mfa_tokens WHERE (tenant, token_hash) IN (SELECT tenant, token_hash \
    FROM mfa_tokens WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_ENROLMENTS: &str = "DELETE FROM totp_enrolments WHERE (tenant, user_id) IN (SELECT tenant, user_id \
    FROM totp_enrolments WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_TRUSTED_DEVICES: &str = "DELETE FROM trusted_devices WHERE (tenant, token_hash) IN (SELECT tenant, token_hash \
    FROM trusted_devices WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
const DELETE_MAIL_TOKENS: &str = "DELETE FROM mail_tokens WHERE (tenant, token_hash) IN (SELECT tenant, token_hash \
    FROM mail_tokens WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_DEAD_MAILS: &str = "DELETE FROM mail_outbox WHERE (tenant, id) IN (SELECT tenant, id \
    FROM mail_outbox WHERE dead_at <= $1 OR expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_KNOWN_DEVICES: &str = "DELETE FROM known_devices WHERE (tenant, user_id, device) IN (SELECT tenant, user_id, device \
    FROM known_devices WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_BROWSER_SESSIONS: &str = "DELETE FROM browser_sessions WHERE (tenant, id) IN (SELECT tenant, id \
    FROM browser_sessions WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_CODES: &str = "DELETE FROM authorization_codes WHERE (tenant, code_hash) IN (SELECT tenant, code_hash \
    FROM authorization_codes WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_ASSERTIONS: &str = "DELETE FROM client_assertions WHERE (tenant, client_uuid, jti_hash) IN (SELECT tenant, \
    client_uuid, jti_hash FROM client_assertions WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const DELETE_EVENTS: &str = "DELETE FROM audit_events WHERE (tenant, at, id) IN (SELECT tenant, at, id \
    FROM audit_events WHERE at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Security events that are older than they are kept.
const fn events(keep: Duration) -> Sweep {
    Sweep::new("sweep.audit_events", "audit_events", DELETE_EVENTS, keep, NOW_AND_THEN, PORTION)
}

impl Database {
    /// Those of [`SWEEPS`] whose turn has come, on whatever node, and the one of security events that are older than
    /// `keep_events`, unless they are kept for ever. One cheap statement where there is none.
    ///
    /// # Errors
    /// `Unavailable`, also for a database that lacks the migration.
    pub async fn due_sweeps(&self, keep_events: Option<Duration>) -> Result<Vec<Sweep>, Error> {
        let all: Vec<Sweep> = SWEEPS.into_iter().chain(keep_events.map(events)).collect();
        let names: Vec<&'static str> = all.iter().map(|sweep| sweep.job.name).collect();
        let due = self.due_jobs(&names).await?;
        Ok(all.into_iter().filter(|sweep| due.iter().any(|name| name == sweep.job.name)).collect())
    }

    /// Removes a portion of what is over at `now`, if it is due and no other node is at it. Rows that somebody holds locked
    /// are left for the next time.
    ///
    /// # Errors
    /// What the database refuses. Nothing was removed then, and the sweep stays due.
    pub async fn sweep(&self, sweep: &Sweep, now: Timestamp) -> Result<Turn, Error> {
        let keep = i64::try_from(sweep.keep.as_millis()).unwrap_or(i64::MAX);
        let before = to_db(Timestamp::from_millis(now.millis().saturating_sub(keep)));
        let limit = i64::try_from(sweep.job.portion).unwrap_or(i64::MAX);
        self.in_turn(sweep.job, async |connection| {
            let query = sqlx::query(sweep.statement).bind(before).bind(limit);
            Ok(connection.execute(query).await?.rows_affected())
        })
        .await
    }
}
