//! Tests of the replication layer from outside.

mod cluster;
mod cluster_faults;
mod log;
mod log_types;
mod node_snapshots;
mod nodes;
mod power_cut;
mod process;
mod project;
mod snapshot;
mod syscalls;
