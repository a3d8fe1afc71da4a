//! Replication of the control plane: openraft with a sled log, snapshots, mTLS between nodes, and the
//! projection to YAML files.
//!
//! openraft's names stay in this crate, sled's in `log`, serde_yaml's in `project`. The product talks to
//! [`Node`] and to nothing else here.

mod alive;
pub mod archive;
mod background;
pub mod bootstrap;
mod clocks;
mod compaction;
pub mod covered;
pub mod durable;
mod election;
mod flush_watchdog;
mod forward;
mod handover;
pub mod identity;
mod leadership;
pub mod log;
pub mod machine;
mod membership;
pub mod network;
mod newer;
pub mod node;
pub mod offline;
mod peers;
mod prevote;
pub mod project;
pub mod propose;
mod pulse;
mod read_index;
mod replica;
mod running;
pub mod settings;
mod shared;
pub mod snapshot;
mod stage;
mod start;
pub mod status;
pub mod types;

pub use forward::{ForwardError, Forwarded};
pub use handover::{HandOver, HandOverError};
pub use membership::{MemberRefusal, MemberStatus};
pub use node::Node;
pub use propose::{ProposeError, Proposed};
pub use running::StartError;
pub use settings::{
    EmbeddedSettings, FLUSH_PATIENCE, KeyFingerprints, Mode, NowFn, PeerPem, Settings, Timers,
};
pub use status::{Role, Status};
