//! What a use case sees of the user database: one unit of work a request, with its repositories.
//!
//! Owns the transaction. It belongs to one tenant from its first statement on, so a statement on another
//! tenant's rows cannot be written by mistake (S103). Nothing is written unless [`UnitOfWork::commit`] returns
//! `Ok`.

use std::future::Future;

use hellojohn_control::Slug;
use sqlx::Executor as _;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::database::{Lease, OPERATION};
use super::error::{Error, Reason};
use super::lives::Life;
use super::pg::audit::Audit;
use super::pg::authorization_codes::AuthorizationCodes;
use super::pg::browser_sessions::BrowserSessions;
use super::pg::client_assertions::ClientAssertions;
use super::pg::consents::Consents;
use super::pg::denied_jtis::DeniedJtis;
use super::pg::import::Imports;
use super::pg::known_devices::KnownDevices;
use super::pg::mail_tokens::MailTokens;
use super::pg::mfa_tokens::MfaTokens;
use super::pg::recovery_codes::RecoveryCodes;
use super::pg::refresh_tokens::RefreshTokens;
use super::pg::roles::Roles;
use super::pg::sessions::Sessions;
use super::pg::totp::Totp;
use super::pg::trusted_devices::TrustedDevices;
use super::pg::user_search::UserSearch;
use super::pg::users::Users;

/// One transaction on the rows of one tenant, at PostgreSQL's READ COMMITTED. Dropped, it is rolled back.
#[derive(Debug)]
pub struct UnitOfWork(Option<Session>);

/// The transaction and what is known about its health.
#[derive(Debug)]
pub(super) struct Session {
    lease: Lease,
    tenant: Slug,
    /// Of which the rows must be; unknown where nothing is made that could be of another one.
    life: Option<Life>,
    /// A statement is under way, or was abandoned half-way: the connection is of no more use.
    busy: bool,
    /// A statement was refused: PostgreSQL ignores the rest and answers COMMIT with a silent rollback.
    failed: bool,
}

/// One call to the database: its name, its limit and what it may do to the session's health.
#[derive(Debug)]
pub(super) struct Call<'a> {
    operation: &'static str,
    busy: &'a mut bool,
    failed: &'a mut bool,
}

impl UnitOfWork {
    pub(super) async fn begin(lease: Lease, tenant: Slug, life: Option<Life>) -> Result<Self, Error> {
        let mut work = Self(Some(Session { lease, tenant, life, busy: false, failed: false }));
        let (connection, _, call) = work.session("begin")?.call("begin")?;
        call.run(connection.execute("BEGIN")).await?;
        Ok(work)
    }

    /// Accounts.
    pub fn users(&mut self) -> Users<'_> {
        Users(self)
    }

    /// Accounts from another system.
    pub fn imports(&mut self) -> Imports<'_> {
        Imports(self)
    }

    /// Accounts that somebody looks for.
    pub fn user_search(&mut self) -> UserSearch<'_> {
        UserSearch(self)
    }

    /// Refresh tokens and their families.
    pub fn refresh_tokens(&mut self) -> RefreshTokens<'_> {
        RefreshTokens(self)
    }

    /// Roles and their permissions.
    pub fn roles(&mut self) -> Roles<'_> {
        Roles(self)
    }

    /// What people let clients have.
    pub fn consents(&mut self) -> Consents<'_> {
        Consents(self)
    }

    /// Sessions of browsers.
    pub fn browser_sessions(&mut self) -> BrowserSessions<'_> {
        BrowserSessions(self)
    }

    /// Authorization codes.
    pub fn authorization_codes(&mut self) -> AuthorizationCodes<'_> {
        AuthorizationCodes(self)
    }

    /// Assertions of clients that were used.
    pub fn client_assertions(&mut self) -> ClientAssertions<'_> {
        ClientAssertions(self)
    }

    /// Live sessions of accounts.
    pub fn sessions(&mut self) -> Sessions<'_> {
        Sessions(self)
    }

    /// Access tokens that were denied before their end.
    pub fn denied_jtis(&mut self) -> DeniedJtis<'_> {
        DeniedJtis(self)
    }

    /// TOTP secrets.
    pub fn totp(&mut self) -> Totp<'_> {
        Totp(self)
    }

    /// Recovery codes.
    pub fn recovery_codes(&mut self) -> RecoveryCodes<'_> {
        RecoveryCodes(self)
    }

    /// First halves of logins.
    pub fn mfa_tokens(&mut self) -> MfaTokens<'_> {
        MfaTokens(self)
    }

    /// Devices that are not asked for a second factor.
    pub fn trusted_devices(&mut self) -> TrustedDevices<'_> {
        TrustedDevices(self)
    }

    /// Tokens of mailed links, and the mails that carry them.
    pub fn mail_tokens(&mut self) -> MailTokens<'_> {
        MailTokens(self)
    }

    /// From what accounts were used before.
    pub fn known_devices(&mut self) -> KnownDevices<'_> {
        KnownDevices(self)
    }

    /// Security events.
    pub fn audit(&mut self) -> Audit<'_> {
        Audit(self)
    }

    /// Makes everything that was done durable and visible.
    ///
    /// With `Unavailable` the outcome is unknown: the connection broke between the request and its answer.
    pub async fn commit(mut self) -> Result<(), Error> {
        let session = self.session("commit")?;
        if session.failed {
            return Err(Error::internal(
                "commit",
                "a statement of this unit of work had failed; nothing was kept",
            ));
        }
        let (connection, _, call) = session.call("commit")?;
        call.run(connection.execute("COMMIT")).await?;
        if let Some(session) = self.0.take() {
            session.lease.give_back();
        }
        Ok(())
    }

    /// As [`UnitOfWork::commit`], but does not wait for the disk: visible at once, durable within a second. For
    /// what may be lost with a power failure and must not take longer than doing nothing.
    pub async fn commit_without_waiting_for_disk(mut self) -> Result<(), Error> {
        const NAME: &str = "commit_without_waiting_for_disk";
        let (connection, _, call) = self.session(NAME)?.call(NAME)?;
        call.run(connection.execute("SET LOCAL synchronous_commit = off")).await?;
        self.commit().await
    }

    /// Undoes everything that was done. The same as dropping it, said aloud.
    pub fn rollback(self) {
        drop(self);
    }

    pub(super) fn session(&mut self, operation: &'static str) -> Result<&mut Session, Error> {
        self.0.as_mut().ok_or_else(|| Error::internal(operation, "the unit of work is over"))
    }

    /// The life that it was begun in.
    pub(super) fn life(&mut self, operation: &'static str) -> Result<Option<Life>, Error> {
        Ok(self.session(operation)?.life)
    }

    /// Has the database look again at which life of the tenant it is.
    pub(super) fn forget_life(&mut self, operation: &'static str) -> Result<(), Error> {
        let session = self.session(operation)?;
        session.lease.database().lives().forget(&session.tenant);
        Ok(())
    }

    /// The connection and the tenant for one statement, and the call to run it in.
    pub(super) fn call(
        &mut self,
        operation: &'static str,
    ) -> Result<(&mut PgConnection, &Slug, Call<'_>), Error> {
        self.session(operation)?.call(operation)
    }
}

impl Session {
    fn call(&mut self, operation: &'static str) -> Result<(&mut PgConnection, &Slug, Call<'_>), Error> {
        if self.busy {
            return Err(Error::internal(operation, "an earlier statement was abandoned half-way"));
        }
        let call = Call { operation, busy: &mut self.busy, failed: &mut self.failed };
        Ok((self.lease.connection(operation)?, &self.tenant, call))
    }
}

impl Call<'_> {
    /// Runs one statement within the limit of an operation.
    pub(super) async fn run<T>(self, statement: impl Future<Output = sqlx::Result<T>>) -> Result<T, Error> {
        // Stays set when this future is dropped or the limit passes: then nobody knows what the connection is at.
        *self.busy = true;
        let span = tracing::debug_span!("db", operation = self.operation);
        let Ok(result) = timeout(OPERATION, statement).instrument(span).await else {
            return Err(Error::unavailable(Reason::TimedOut, self.operation, "no answer within the limit"));
        };
        match result {
            Ok(value) => {
                *self.busy = false;
                Ok(value)
            }
            Err(error) => {
                *self.failed = true;
                // After an answer of the server the connection is in order, after anything else it may not be.
                *self.busy = !matches!(error, sqlx::Error::Database(_));
                Err(Error::from_sqlx(self.operation, &error))
            }
        }
    }
}

impl Drop for UnitOfWork {
    fn drop(&mut self) {
        match self.0.take() {
            Some(session) if session.busy => drop(session.lease),
            Some(session) => session.lease.roll_back(),
            None => {}
        }
    }
}
