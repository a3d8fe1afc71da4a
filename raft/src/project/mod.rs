//! The projection of the applied state to YAML files, and its reconciler (spec §2.1, §13.1).
//!
//! Owns everything below `tenants/`, `keys/` and `quarantine/`, and the file `raft/projected`; nothing else
//! writes there. May import `hellojohn_control` and the file system. The files are a pure function of the
//! state: no per-node data, host time or marker is ever in them, and what they say is never believed. A disk
//! that fails never reaches `apply`: it shows as `fs_degraded`, and the files are retried until it is well.
//!
//! `projector` is the public face, `task` decides when to run, `worker` is the thread that blocks, `engine`
//! decides what a run does, `changes` and `scan` find what differs, `pass` does it, `files` has the system
//! calls.

mod changes;
mod engine;
mod files;
mod index;
mod parallel;
mod pass;
mod progress;
mod projector;
mod quarantine;
mod report;
mod scan;
mod status;
mod task;
mod tree;
mod worker;
mod yaml;

pub use engine::Clock;
pub use projector::{Projector, ProjectorHandle, ProjectorSettings, has_foreign_files};
pub use status::ProjectionStatus;
