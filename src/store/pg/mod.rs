//! The repositories: statements on the tables of the user database, and rows made into domain types.

pub mod denied_jtis;
pub mod known_devices;
pub mod mail_tokens;
pub mod maintenance;
pub mod orphans;
pub mod outbox;
pub mod refresh_tokens;
mod rows;
pub mod sessions;
pub mod standing;
pub mod users;
