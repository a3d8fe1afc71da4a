//! L2: the user plane in PostgreSQL: ports, pools, migrations; and the counters of rate limits, in memory or in Redis.
//!
//! Owns every statement that touches a user database. May import `domain`, `crypto`, `config`, sqlx and redis. Must
//! never decide what a request means, never take part in the control plane, and never run a statement on a
//! person's data that does not name its tenant (S103).

mod breaker;
pub mod database;
pub mod dsn;
pub mod error;
pub mod limiter;
mod lives;
pub mod migrate;
pub mod pg;
pub mod pools;
pub mod ports;

pub use database::Database;
pub use dsn::{Dsn, InvalidDsn};
pub use error::{Error, Reason};
pub use lives::Life;
pub use migrate::{MigrationError, MigrationState};
pub use pools::{PoolSettings, Pools};
pub use ports::UnitOfWork;
