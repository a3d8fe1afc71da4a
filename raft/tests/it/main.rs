//! Tests of the replication layer from outside.

mod log;
mod log_types;
mod snapshot;
