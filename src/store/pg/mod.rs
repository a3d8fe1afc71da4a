//! The repositories: statements on the tables of the user database, and rows made into domain types.

mod alone;
pub mod audit;
pub mod browser_sessions;
pub mod consents;
pub mod control_audit;
pub mod denied_jtis;
pub mod import;
pub mod jobs;
pub mod known_devices;
pub mod lives;
pub mod mail_tokens;
pub mod maintenance;
pub mod mfa_tokens;
pub mod orphans;
pub mod outbox;
pub mod recovery_codes;
pub mod refresh_tokens;
pub mod roles;
mod rows;
pub mod sessions;
pub mod standing;
pub mod totp;
pub mod trusted_devices;
pub mod user_admin;
pub mod user_search;
pub mod users;
