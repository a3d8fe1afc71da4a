//! L4: reconcilers: take no input, are idempotent, run on a timer and on a signal.
//!
//! A job compares what is with what should be and closes the gap; a run that fails or is cut short is made good
//! by the next one. May import `service` and below. Must never serve a request, and must never log the same
//! trouble at every run.

pub mod audit;
pub mod cleanup;
pub mod keys;
pub mod limits;
pub mod mail;
pub mod sweep;
mod timer;
pub mod view;

pub use timer::Timer;
