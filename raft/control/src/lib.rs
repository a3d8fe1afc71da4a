//! The control plane of hellojohn as a **pure** state machine: documents, commands, outcomes, views.
//!
//! Owns what a tenant, client, scope catalogue or signing key *is* and how a command changes them.
//! May import serde, thiserror and the like. Must never know tokio, openraft, a clock, randomness or a
//! file: everything that could differ between two nodes is decided by the leader and carried in the
//! command, so that applying the same log gives the same state everywhere.

pub mod documents;
pub mod ids;
pub mod sealed;
pub mod timestamp;

pub use ids::{ClientId, InvalidId, Kid, ScopeName, Slug};
pub use sealed::{NotSealed, Sealed};
pub use timestamp::Timestamp;
