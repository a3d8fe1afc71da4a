//! Replication of the control plane: openraft with a sled log, snapshots, mTLS between nodes, and the
//! projection to YAML files.
//!
//! openraft's names stay in this crate, sled's in `log`, serde_yaml's in `project::yaml`.

pub mod durable;
pub mod identity;
pub mod log;
pub mod network;
pub mod project;
pub mod snapshot;
