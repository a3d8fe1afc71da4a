//! `storage`: the global PostgreSQL database.

use std::time::Duration;

use super::intake::Intake;
use super::setting::{Raw, section};
use super::value::dsn::{self, Dsn};
use super::value::{Invalid, duration, quoted, whole};

/// The kind of database; there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// PostgreSQL.
    Postgres,
}

section! {
    /// The global database. Without a DSN the node serves the control plane only.
    pub struct Storage in "storage" {
        /// Kind of database; postgres is the only one.
        driver: Driver = Literal("postgres"), env ["STORAGE_DRIVER"], Public, driver;
        /// Connection URL of the global database: postgres://user:password@host:5432/database.
        dsn: Option<Dsn> = Unset("the node serves the control plane only"), env ["STORAGE_DSN", "DATABASE_URL"],
            Dsn, dsn::dsn;
        /// Most open connections of a pool.
        max_open_conns: u32 = Literal("20"), env ["POSTGRES_MAX_OPEN_CONNS"], Public, whole(1, 1_000);
        /// Connections that a pool keeps open while idle.
        max_idle_conns: u32 = Literal("5"), env ["POSTGRES_MAX_IDLE_CONNS"], Public, whole(0, 1_000);
        /// Age at which a connection is replaced.
        conn_max_lifetime: Duration = Literal("30m"), env ["POSTGRES_CONN_MAX_LIFETIME"], Public,
            duration::between(Duration::from_secs(10), Duration::from_secs(7 * 86_400));
    }
}

impl Storage {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        if self.max_idle_conns > self.max_open_conns {
            intake.conflict(
                &["storage.max_idle_conns", "storage.max_open_conns"],
                format!("{} is more than the {} open ones", self.max_idle_conns, self.max_open_conns),
                "make storage.max_idle_conns at most storage.max_open_conns",
            );
        }
    }
}

fn driver(raw: &Raw) -> Result<Driver, Invalid> {
    match raw.text()? {
        "postgres" => Ok(Driver::Postgres),
        other => Err(Invalid::new(
            format!("{} is not supported", quoted(other)),
            "write postgres: users and sessions are kept in PostgreSQL only",
        )),
    }
}
