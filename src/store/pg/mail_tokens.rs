//! Tokens of mailed links in PostgreSQL, and the mails that carry them (S70-S75, S112).
//!
//! Order of locks: account, then token, then families of refresh tokens. A token is consumed in one statement.

use hellojohn_control::{ClientId, Sealed, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::to_db;
use crate::domain::email::Email;
use crate::domain::mail::{MailKind, TokenPurpose};
use crate::domain::user::{PasswordHash, UserId};
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The mailed tokens of the unit of work's tenant.
#[derive(Debug)]
pub struct MailTokens<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// A mail that shall wait in the outbox.
#[derive(Debug, Clone)]
pub struct NewMail {
    /// Identity of its row.
    pub id: Uuid,
    /// What it says.
    pub kind: MailKind,
    /// Recipient and link, sealed for the row.
    pub sealed: Sealed,
    /// When it is of no more use.
    pub expires_at: Timestamp,
}

/// A token that shall be mailed.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Whose.
    pub user: UserId,
    /// The address that the mail goes to; nothing happens if it is not the account's any more.
    pub email: &'a Email,
    /// What for.
    pub purpose: TokenPurpose,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// The client that asked for it.
    pub client_id: Option<&'a ClientId>,
    /// Its end.
    pub expires_at: Timestamp,
    /// Nothing happens if the last one is younger than this moment.
    pub not_since: Timestamp,
    /// The mail that carries it; `None` where no server would take it.
    pub mail: Option<NewMail>,
}

/// A reset token that is valid now.
#[derive(Debug, Clone)]
pub struct ResetToken {
    /// Whose.
    pub user: UserId,
    /// The account's address.
    pub email: Email,
    /// The client that asked for it.
    pub client_id: Option<ClientId>,
}

/// An address that a mailed token has shown to be its owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// Whose.
    pub user: UserId,
    /// Whether it was not known before.
    pub is_news: bool,
}

// The account is locked first, as everywhere, and looked at again after a wait. One statement for whoever has an account and for whoever has none: then no row is found, and nothing happens (S60). A
// waiting mail with an older token goes, for its link works no more.
const ISSUE: &str = "WITH account AS ( \
        SELECT id, email_key FROM users WHERE tenant = $1 AND id = $2 AND email_key = $13 AND status = 'active' \
            AND NOT (email_verified AND $3 = 'verify') FOR KEY SHARE), \
    token AS ( \
        INSERT INTO mail_tokens AS t \
            (tenant, user_id, purpose, token_hash, email_key, client_id, created_at, expires_at) \
        SELECT $1, id, $3, $4, email_key, $5, $6, $7 FROM account \
        ON CONFLICT (tenant, user_id, purpose) DO UPDATE SET token_hash = EXCLUDED.token_hash, \
            email_key = EXCLUDED.email_key, client_id = EXCLUDED.client_id, created_at = EXCLUDED.created_at, \
            expires_at = EXCLUDED.expires_at \
            WHERE t.created_at <= $8 \
        RETURNING t.user_id), \
    superseded AS ( \
        DELETE FROM mail_outbox o USING token WHERE o.tenant = $1 AND o.user_id = token.user_id \
            AND o.purpose = $3 AND o.dead_at IS NULL), \
    queued AS ( \
        INSERT INTO mail_outbox \
            (tenant, id, user_id, kind, purpose, sealed, created_at, expires_at, next_attempt_at) \
        SELECT $1, $9, user_id, $10, $3, $11, $6, $12, $6 FROM token WHERE $9::uuid IS NOT NULL) \
    SELECT EXISTS (SELECT 1 FROM token)";

const QUEUE_NOTICE: &str = "INSERT INTO mail_outbox \
    (tenant, id, user_id, kind, sealed, created_at, expires_at, next_attempt_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $6)";

// The same link again has the same effect; mail programs and people open it more than once.
const CONFIRM: &str = "WITH account AS ( \
        SELECT u.id, u.email_verified FROM mail_tokens t JOIN users u ON u.tenant = t.tenant AND u.id = t.user_id \
        WHERE t.tenant = $1 AND t.token_hash = $2 AND t.purpose = 'verify' AND t.expires_at > $3 \
            AND u.email_key = t.email_key AND u.status = 'active' FOR NO KEY UPDATE OF u), \
    confirmed AS ( \
        UPDATE users u SET email_verified = true, updated_at = GREATEST($3, u.updated_at + interval '1 millisecond') \
        FROM account WHERE u.tenant = $1 AND u.id = account.id AND NOT account.email_verified) \
    SELECT id, NOT email_verified AS is_news FROM account";

const FIND_RESET: &str = "SELECT u.id, u.email, t.client_id FROM mail_tokens t \
    JOIN users u ON u.tenant = t.tenant AND u.id = t.user_id \
    WHERE t.tenant = $1 AND t.token_hash = $2 AND t.purpose = 'reset' AND t.expires_at > $3 \
        AND u.email_key = t.email_key AND u.status = 'active'";

// Whoever reads the mail owns the address, so it is verified; a hold after failed logins ends, unless it protects a second
// factor from being guessed (S61, S75).
const RESET: &str = "WITH used AS ( \
        DELETE FROM mail_tokens WHERE tenant = $1 AND token_hash = $2 AND purpose = 'reset' AND expires_at > $3 \
        RETURNING user_id, email_key) \
    UPDATE users u SET password_hash = $4, email_verified = true, \
        failed_logins = CASE WHEN f.user_id IS NULL THEN 0 ELSE u.failed_logins END, \
        locked_until = CASE WHEN f.user_id IS NULL THEN NULL ELSE u.locked_until END, \
        updated_at = GREATEST($3, u.updated_at + interval '1 millisecond') \
    FROM used LEFT JOIN totp_factors f ON f.tenant = $1 AND f.user_id = used.user_id AND f.address_verified \
    WHERE u.tenant = $1 AND u.id = used.user_id AND u.email_key = used.email_key \
        AND u.status = 'active' \
    RETURNING u.id";

const DROP_ALL: &str = "WITH dropped AS (DELETE FROM mail_tokens WHERE tenant = $1 AND user_id = $2) \
    DELETE FROM mail_outbox WHERE tenant = $1 AND user_id = $2 AND purpose IS NOT NULL AND dead_at IS NULL";

#[derive(FromRow)]
struct ResetRow {
    id: Uuid,
    email: String,
    client_id: Option<String>,
}

impl MailTokens<'_> {
    /// Makes a token the account's only one of its purpose and lets its mail wait in the outbox. False, and nothing
    /// happens, for no account or one that is not active or needs no such mail, and when the last token is too young.
    pub async fn issue(&mut self, token: &NewToken<'_>, now: Timestamp) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("mail_tokens.issue")?;
        let mail = token.mail.as_ref();
        let query = sqlx::query_scalar(ISSUE)
            .bind(tenant.as_str())
            .bind(token.user.0)
            .bind(token.purpose.as_str())
            .bind(token.hash.as_slice())
            .bind(token.client_id.map(ClientId::as_str))
            .bind(to_db(now))
            .bind(to_db(token.expires_at))
            .bind(to_db(token.not_since))
            .bind(mail.map(|mail| mail.id))
            .bind(mail.map(|mail| mail.kind.as_str()))
            .bind(mail.map(|mail| mail.sealed.as_str()))
            .bind(mail.map(|mail| to_db(mail.expires_at)))
            .bind(token.email.key());
        call.run(query.fetch_one(connection)).await
    }

    /// Lets a mail without a link wait in the outbox. It may go at `due`, and its age is counted from there.
    pub async fn queue_notice(&mut self, user: UserId, mail: &NewMail, due: Timestamp) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("mail_tokens.queue_notice")?;
        let query = sqlx::query(QUEUE_NOTICE)
            .bind(tenant.as_str())
            .bind(mail.id)
            .bind(user.0)
            .bind(mail.kind.as_str())
            .bind(mail.sealed.as_str())
            .bind(to_db(due))
            .bind(to_db(mail.expires_at));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Marks the address as verified that the token was mailed to. `None` for a token that is not valid.
    pub async fn confirm(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Confirmed>, Error> {
        let (connection, tenant, call) = self.0.call("mail_tokens.confirm")?;
        let query = sqlx::query_as(CONFIRM).bind(tenant.as_str()).bind(hash.as_slice()).bind(to_db(now));
        let row: Option<(Uuid, bool)> = call.run(query.fetch_optional(connection)).await?;
        Ok(row.map(|(id, is_news)| Confirmed { user: UserId(id), is_news }))
    }

    /// The reset token with this hash, if it is valid. It is not used up.
    pub async fn find_reset(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<Option<ResetToken>, Error> {
        const NAME: &str = "mail_tokens.find_reset";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as(FIND_RESET).bind(tenant.as_str()).bind(hash.as_slice()).bind(to_db(now));
        let row: Option<ResetRow> = call.run(query.fetch_optional(connection)).await?;
        let bad = |why: &dyn std::fmt::Display| Error::internal(NAME, why.to_string());
        row.map(|row| {
            Ok(ResetToken {
                user: UserId(row.id),
                email: Email::parse(&row.email).map_err(|why| bad(&why))?,
                client_id: row
                    .client_id
                    .map(|id| ClientId::parse(&id))
                    .transpose()
                    .map_err(|why| bad(&why))?,
            })
        })
        .transpose()
    }

    /// Uses the token up and sets the password: of several at once one does. `None`, and nothing is written, for a token
    /// that is not valid. Drops nothing else; see [`MailTokens::drop_all_of_user`].
    pub async fn reset(
        &mut self,
        hash: &[u8; 32],
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserId>, Error> {
        let (connection, tenant, call) = self.0.call("mail_tokens.reset")?;
        let query = sqlx::query_scalar(RESET)
            .bind(tenant.as_str())
            .bind(hash.as_slice())
            .bind(to_db(now))
            .bind(password.as_str());
        let id: Option<Uuid> = call.run(query.fetch_optional(connection)).await?;
        Ok(id.map(UserId))
    }

    /// Makes every link that was mailed to the account worthless, and stops those that wait.
    pub async fn drop_all_of_user(&mut self, user: UserId) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("mail_tokens.drop_all_of_user")?;
        call.run(sqlx::query(DROP_ALL).bind(tenant.as_str()).bind(user.0).execute(connection)).await?;
        Ok(())
    }
}
