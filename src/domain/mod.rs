//! L0: plain types and rules. Knows no I/O.

pub mod clock;
pub mod email;
pub mod mail;
pub mod password_policy;
pub mod refresh_token;
pub mod rng;
pub mod sender;
pub mod user;
