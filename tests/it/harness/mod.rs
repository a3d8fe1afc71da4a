//! What the scenarios share.

pub(crate) mod node;
pub(crate) mod postgres;
