//! The control plane of hellojohn as a **pure** state machine: documents, commands, outcomes, views.
//!
//! Owns what a tenant, client, scope catalogue or signing key *is* and how a command changes them.
//! May import serde, thiserror and the like. Must never know tokio, openraft, a clock, randomness or a
//! file: everything that could differ between two nodes is decided by the leader and carried in the
//! command, so that applying the same log gives the same state everywhere.

pub mod audit;
pub mod command;
mod differences;
mod discovery;
pub mod documents;
pub mod envelope;
pub mod format;
mod graveyard;
pub mod ids;
pub mod image;
pub mod keyring;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod outcome;
mod refound;
pub mod sealed;
pub mod state;
pub mod timestamp;
pub mod validate;
pub mod view;

pub use command::{Command, KeyRef, ScopesMode};
pub use differences::differences;
pub use envelope::{Batch, Envelope, Idempotency, Precondition};
pub use format::{FORMAT, UnknownVersion};
pub use ids::{ClientId, InvalidId, Kid, ScopeName, Slug};
pub use image::{Image, ImageError};
pub use keyring::KeyRing;
pub use machine::{Fatal, Machine};
pub use outcome::{Outcome, Reject};
pub use refound::{RefoundError, Refounded};
pub use sealed::{NotSealed, Sealed};
pub use state::{Formation, MemberIdentity, MemberRole, TenantEntry};
pub use timestamp::Timestamp;
pub use validate::{FieldError, redirect_uri_matches};
pub use view::{Issuer, View};
