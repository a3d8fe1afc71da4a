//! What the scenarios share.

pub(crate) mod api;
pub(crate) mod audit_rows;
pub(crate) mod cluster;
pub(crate) mod link;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod silence;
pub(crate) mod smtp;
pub(crate) mod sweeps;
