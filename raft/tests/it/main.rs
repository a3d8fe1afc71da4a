//! Tests of the replication layer from outside.

mod log;
mod log_types;
mod power_cut;
mod process;
mod snapshot;
mod cluster;
mod syscalls;
