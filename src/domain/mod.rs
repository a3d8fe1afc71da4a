//! L0: plain types and rules. Knows no I/O.

pub mod audit;
pub mod authorization_code;
pub mod browser_session;
pub mod clock;
pub mod consent;
pub mod email;
pub mod fixed_window;
pub mod mail;
pub mod mfa;
pub mod password_policy;
pub mod refresh_token;
pub mod return_to;
pub mod rng;
pub mod role;
pub mod sender;
pub mod user;
