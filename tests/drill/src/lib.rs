//! Fault drills against clusters of real processes.
//!
//! [`cluster`] starts the nodes, [`net`] joins and parts them, [`load`] writes and reads and keeps the [`history`],
//! [`drills`] and [`schedule`] break things, [`check`] and [`invariants`] judge. Nothing here is shipped.

pub mod check;
pub mod history;
