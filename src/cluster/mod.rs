//! L2: the port onto the replicated control plane; the only layer beside `boot` that names `hellojohn-raft`.
//!
//! Owns proposing (with time and actor stamped), reading views, and what must be made, hashed or sealed before
//! a proposal. Must never see a request or decide what may be written: that is the services' business.

mod control_plane;
mod error;
mod sealing;

pub use control_plane::{ControlPlane, Origin, Written};
pub use error::ProposeError;
pub use hellojohn_raft::status::{FsStatus, PeerStatus, RaftStatus};
pub use hellojohn_raft::{HandOver, HandOverError, MemberRefusal, MemberStatus, Role, Status};
pub use sealing::{SealFailure, Sealing};
