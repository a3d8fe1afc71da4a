//! L3: use cases, one verb a file. They decide; they know no HTTP, no SQL, no openraft.
//!
//! May import `domain`, `crypto`, `config`, `store`, `cluster`, `mail` and `hellojohn-control`. Must never name
//! `axum`, `hyper` or anything of `http`: a service answers with [`Error`] and the edge translates.

pub mod account;
pub mod audit;
pub mod authenticate;
pub mod break_glass;
pub mod code;
pub mod control;
pub mod error;
pub mod health;
pub mod limits;
pub mod mail;
pub mod oauth;
pub mod principal;
pub mod tokens;
pub mod user_store;
pub mod write_context;

pub use code::Code;
pub use error::{Error, FieldError, Payload, RateLimit, Result};
pub use principal::{AdminAuthorizer, LeaderGate, Principal, UserAuthorizer};
pub use write_context::{IdempotencyKey, Precondition, WriteContext};
