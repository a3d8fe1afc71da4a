//! What can go wrong with the user database: a public text and a private context, kept apart.
//!
//! Owns the classification of sqlx's errors. The `Display` text of [`Error`] is safe for anybody: it never has
//! SQL, a host, a DSN or a value in it. The [`Context`] is for the log alone.

use std::fmt;

/// A failed operation on the user database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used now; the same request may work later.
    #[error("the user database is not available: {reason}")]
    Unavailable {
        /// In which way.
        reason: Reason,
        /// For the log.
        context: Context,
    },
    /// Another account of the tenant has this e-mail address.
    #[error("the e-mail address is already registered")]
    EmailTaken,
    /// Somebody else changed the same row first; nothing was written.
    #[error("the record was changed at the same time by another request")]
    Conflict(Context),
    /// A fault of ours or of the schema.
    #[error("the user database refused an operation")]
    Internal(Context),
}

/// In which way the database is not available. The texts are for administrators and name no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No connection could be made.
    #[error("it cannot be reached")]
    Unreachable,
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// It failed a moment ago and is not asked again at once.
    #[error("it failed a moment ago and will be tried again shortly")]
    FailedRecently,
    /// Every connection is in use, here or in the server.
    #[error("all connections are in use")]
    Busy,
    /// The server is starting, stopping or was stopped.
    #[error("it is starting up or shutting down")]
    ShuttingDown,
    /// The database takes no connections (`ALTER DATABASE ... ALLOW_CONNECTIONS false`).
    #[error("it accepts no connections")]
    Closed,
    /// The server refused the user or the password.
    #[error("it refused the user name or password")]
    LoginRefused,
    /// The database of that name does not exist.
    #[error("the database does not exist")]
    NoSuchDatabase,
    /// TLS failed or was refused.
    #[error("TLS could not be agreed")]
    Tls,
    /// A standby, or a server out of space or memory.
    #[error("it accepts no writes")]
    NoWrites,
    /// Another transaction held a lock for too long.
    #[error("a lock was not released in time")]
    Locked,
    /// Its schema is not the one of this version.
    #[error("its schema is not up to date; run the migration")]
    NotMigrated,
    /// It still has rows of a deleted tenant of the same slug; they are being removed.
    #[error("the people of a deleted tenant of this name are being removed")]
    OldLife,
    /// Its rows are of another tenant of the same slug than this node knows.
    #[error("it holds the people of another tenant of this name")]
    OtherLife,
}

/// What an operator needs to find the cause. Has no SQL and no bound values; may name tables and constraints.
#[derive(Clone)]
pub struct Context {
    operation: &'static str,
    detail: Box<str>,
}

impl Context {
    pub(crate) fn new(operation: &'static str, detail: impl Into<Box<str>>) -> Self {
        Self { operation, detail: detail.into() }
    }

    /// The operation that failed, as in span names: `users.find_by_email`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the database or the driver said.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.detail)
    }
}

/// The constraint that makes addresses unique; see the migration that creates `users`.
const EMAIL_CONSTRAINT: &str = "users_email_taken";

impl Error {
    pub(crate) fn unavailable(reason: Reason, operation: &'static str, detail: impl Into<Box<str>>) -> Self {
        Self::Unavailable { reason, context: Context::new(operation, detail) }
    }

    pub(crate) fn internal(operation: &'static str, detail: impl Into<Box<str>>) -> Self {
        Self::Internal(Context::new(operation, detail))
    }

    /// The private part, where there is one.
    pub fn context(&self) -> Option<&Context> {
        match self {
            Self::Unavailable { context, .. } | Self::Conflict(context) | Self::Internal(context) => {
                Some(context)
            }
            Self::EmailTaken => None,
        }
    }

    /// Sorts an error of the driver. `operation` is a name of ours, never SQL.
    pub(crate) fn from_sqlx(operation: &'static str, error: &sqlx::Error) -> Self {
        let reason = match error {
            sqlx::Error::Database(database) => return Self::from_sqlstate(operation, database.as_ref()),
            sqlx::Error::PoolTimedOut => Reason::TimedOut,
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Reason::ShuttingDown,
            sqlx::Error::Io(_) => Reason::Unreachable,
            sqlx::Error::Tls(_) => Reason::Tls,
            // sqlx reports an unexpected message here, among others when the server dies in mid-sentence.
            sqlx::Error::Protocol(_) => Reason::Unreachable,
            // The enum is not ours and may grow; all that is left points at a fault in our queries.
            _ => return Self::internal(operation, error.to_string()),
        };
        Self::unavailable(reason, operation, error.to_string())
    }

    fn from_sqlstate(operation: &'static str, error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        // The primary message names no values; DETAIL and HINT do and are left out.
        let detail = match error.constraint() {
            Some(constraint) => format!("SQLSTATE {code}, constraint {constraint}"),
            None => format!("SQLSTATE {code}: {}", error.message()),
        };
        let context = Context::new(operation, detail);
        let reason = match code.as_ref() {
            "23505" if error.constraint() == Some(EMAIL_CONSTRAINT) => return Self::EmailTaken,
            // unique_violation, serialization_failure, deadlock_detected
            "23505" | "40001" | "40P01" => return Self::Conflict(context),
            // query_canceled by statement_timeout, transaction and idle time-outs
            "57014" | "25P03" | "25P04" => Reason::TimedOut,
            "55P03" => Reason::Locked,
            // object_not_in_prerequisite_state; no query of ours leads there, a closed database does
            "55000" => Reason::Closed,
            "25006" | "53100" | "53200" => Reason::NoWrites,
            "28000" | "28P01" => Reason::LoginRefused,
            "3D000" => Reason::NoSuchDatabase,
            // undefined_table, undefined_column
            "42P01" | "42703" => Reason::NotMigrated,
            code if code.starts_with("53") => Reason::Busy,
            code if code.starts_with("57P") => Reason::ShuttingDown,
            code if code.starts_with("08") => Reason::Unreachable,
            _ => return Self::Internal(context),
        };
        Self::Unavailable { reason, context }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_errors_are_sorted_by_what_the_caller_can_do() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for (error, wanted) in [
            (sqlx::Error::PoolTimedOut, Reason::TimedOut),
            (sqlx::Error::PoolClosed, Reason::ShuttingDown),
            (sqlx::Error::Io(io), Reason::Unreachable),
            (sqlx::Error::Tls("handshake".into()), Reason::Tls),
        ] {
            match Error::from_sqlx("test", &error) {
                Error::Unavailable { reason, .. } => assert_eq!(reason, wanted),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(Error::from_sqlx("test", &sqlx::Error::RowNotFound), Error::Internal(_)));
    }

    /// S111: what the driver says stays in the context.
    #[test]
    fn the_public_text_has_no_private_part() {
        let error = Error::from_sqlx("users.insert", &sqlx::Error::Protocol("db.internal:5432".to_owned()));
        assert!(!error.to_string().contains("db.internal"));
        assert!(error.context().unwrap().detail().contains("db.internal"));
        assert!(std::error::Error::source(&error).is_none());
    }
}
