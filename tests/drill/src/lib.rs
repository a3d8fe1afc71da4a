//! Fault drills against clusters of real processes.
//!
//! [`cluster`] starts the nodes, [`net`] joins and parts them, [`load`] writes and reads and keeps the [`history`],
//! [`drills`] and [`schedule`] break things, [`check`] and [`invariants`] judge. Nothing here is shipped.

pub mod check;
pub mod cluster;
pub mod dice;
pub mod drills;
pub mod history;
pub mod invariants;
pub mod load;
pub mod machine;
pub mod net;
pub mod observer;
pub mod process;
pub mod report;
pub mod run;
pub mod schedule;
pub mod shell;
pub mod waiting;
