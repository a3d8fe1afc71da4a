//! `/v1/admin`: what administrators do.

pub mod user_store;
