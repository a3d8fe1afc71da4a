//! L5: composition and process life: assemble the parts, listeners, TLS, telemetry, shutdown.

pub mod assemble;
mod certificates;
pub mod error;
mod forwarding;
pub mod lifecycle;
pub mod listeners;
pub mod origins;
pub mod private_postgres;
mod raft;
pub mod run;
pub mod schema;
pub mod surface;
pub mod telemetry;
pub mod tls;

pub use assemble::{Assembled, Process, assemble};
pub use error::BootError;
pub use run::{run, run_until};
pub use surface::surface;
