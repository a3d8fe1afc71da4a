//! L5: the command line, one file a command.

pub mod args;
pub mod certs;
pub mod config;
