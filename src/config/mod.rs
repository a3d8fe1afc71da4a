//! L1: configuration: defaults, YAML, environment, flags; one file a section.
//!
//! Owns every setting of the product: its names, default, parser, documentation and the checks between
//! settings. [`load`] is pure but for the files a setting names (certificates, password list): it takes texts
//! and maps, so a test needs no process environment. The process environment is read in [`mod@env`] only, YAML
//! in [`mod@yaml`] only. May import `domain` and `hellojohn-control`. Must never print or log a value that is
//! declared secret, and must never stop at the first problem: an operator gets the whole list at once.
//!
//! A new setting is one entry in the `section!` of its file; table, `config print`, the example file and its
//! test follow from that entry.

pub mod admin;
pub mod argon2;
pub mod audit;
pub mod auth;
pub mod cache;
pub mod cluster;
pub mod control_plane;
pub mod email;
pub mod env;
pub mod error;
pub mod example;
pub mod flags;
pub mod gather;
pub mod http;
pub mod jwt;
pub mod keys;
pub mod oauth;
pub mod observability;
pub mod password;
pub mod rate;
pub mod register;
pub mod secret;
pub mod server;
pub mod setting;
pub mod smtp;
pub mod storage;
pub mod table;
pub mod value;
pub mod yaml;

mod dotenv;
mod intake;
mod load;
mod resolve;
mod suggest;

#[cfg(test)]
pub(crate) mod tests;

pub use admin::Admin;
pub use argon2::Argon2;
pub use audit::Audit;
pub use auth::{Auth, SameSite};
pub use cache::{Cache, CacheKind};
pub use cluster::Cluster;
pub use control_plane::ControlPlane;
pub use email::Email;
pub use error::{Error, ErrorKind, Errors, Warning};
pub use flags::Flags;
pub use gather::{Options, gather};
pub use http::Http;
pub use jwt::Jwt;
pub use keys::Keys;
pub use load::{Config, Inputs, Loaded, TextFile, load};
pub use oauth::OAuth;
pub use observability::{LogFormat, Observability};
pub use password::Password;
pub use rate::Rate;
pub use register::Register;
pub use resolve::{Flag, Source};
pub use secret::{Secret, SecretKey};
pub use server::Server;
pub use setting::{Setting, Shown};
pub use smtp::Smtp;
pub use storage::Storage;
