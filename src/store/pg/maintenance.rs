//! Removal of rows that are over, for all tenants of a database at once: the one place whose statements name no
//! tenant. They look at nothing but the age of a row, and can be repeated and interrupted at will.

use std::time::Duration;

use hellojohn_control::Timestamp;
use sqlx::Executor as _;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::rows::to_db;
use crate::store::database::{Database, OPERATION};
use crate::store::error::{Error, Reason};

/// Rows touched by one statement at most; a full portion means that there may be more.
const PORTION: i64 = 1000;

/// How long a family is kept after its end, so that the use of an old token is still known for what it is.
const KEEP_FAMILIES: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a mail that was given up can be seen.
const KEEP_DEAD_MAILS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What one sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Sealed successors whose overlap was over (spec §13.11).
    pub overlaps: u64,
    /// Denials of access tokens that have ended.
    pub denials: u64,
    /// Families that ended a day ago or longer, with their tokens.
    pub families: u64,
    /// First halves of logins that were never finished, secrets that never had a code, devices that are trusted no more.
    pub second_factors: u64,
    /// Tokens of mailed links that have expired.
    pub mail_tokens: u64,
    /// Mails that were given up, or have expired unsent, a week ago or longer.
    pub mails: u64,
    /// Devices that were not used for long.
    pub devices: u64,
    /// Security events that are older than they are kept.
    pub events: u64,
    /// Whether another sweep would find more.
    pub more: bool,
}

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

const DELETE_EVENTS: &str = "DELETE FROM audit_events WHERE (tenant, at, id) IN (SELECT tenant, at, id \
    FROM audit_events WHERE at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

impl Database {
    /// Removes a portion of what is over at `now`, and of security events that are older than `keep_events` if they are not
    /// kept for ever. Meant for a job that runs every few seconds, so that a sealed
    /// successor does not stay long after its overlap even where nobody rotates.
    pub async fn sweep(&self, now: Timestamp, keep_events: Option<Duration>) -> Result<Swept, Error> {
        let before = |age: Duration| {
            let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            to_db(Timestamp::from_millis(now.millis().saturating_sub(millis)))
        };
        let overlaps = self.remove("sweep.overlaps", CLEAR_OVERLAPS, to_db(now)).await?;
        let denials = self.remove("sweep.denials", DELETE_DENIALS, to_db(now)).await?;
        let families = self.remove("sweep.families", DELETE_FAMILIES, before(KEEP_FAMILIES)).await?;
        let tokens = self.remove("sweep.mfa_tokens", DELETE_MFA_TOKENS, to_db(now)).await?;
        let enrolments = self.remove("sweep.enrolments", DELETE_ENROLMENTS, to_db(now)).await?;
        let trusted = self.remove("sweep.trusted_devices", DELETE_TRUSTED_DEVICES, to_db(now)).await?;
        let mail_tokens = self.remove("sweep.mail_tokens", DELETE_MAIL_TOKENS, to_db(now)).await?;
        let mails = self.remove("sweep.mails", DELETE_DEAD_MAILS, before(KEEP_DEAD_MAILS)).await?;
        let devices = self.remove("sweep.known_devices", DELETE_KNOWN_DEVICES, to_db(now)).await?;
        let events = match keep_events {
            Some(age) => self.remove("sweep.audit_events", DELETE_EVENTS, before(age)).await?,
            None => 0,
        };
        let all =
            [overlaps, denials, families, tokens, enrolments, trusted, mail_tokens, mails, devices, events];
        let more = all.iter().any(|some| *some >= PORTION.unsigned_abs());
        let second_factors = tokens + enrolments + trusted;
        Ok(Swept { overlaps, denials, families, second_factors, mail_tokens, mails, devices, events, more })
    }

    async fn remove(
        &self,
        operation: &'static str,
        statement: &'static str,
        before: OffsetDateTime,
    ) -> Result<u64, Error> {
        let mut lease = self.lease(operation).await?;
        let query = sqlx::query(statement).bind(before).bind(PORTION);
        let run = lease.connection(operation)?.execute(query);
        match timeout(OPERATION, run).await {
            Ok(Ok(done)) => {
                lease.give_back();
                Ok(done.rows_affected())
            }
            Ok(Err(error)) => Err(Error::from_sqlx(operation, &error)),
            Err(_) => Err(Error::unavailable(Reason::TimedOut, operation, "no answer within the limit")),
        }
    }
}
