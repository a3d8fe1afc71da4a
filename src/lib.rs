//! hellojohn: a multi-tenant identity provider with a replicated control plane.
//!
//! Layers, lower ones never import higher ones (`tests/it/layers.rs` reads the `use` lines):
//! `boot, cli` → `http, jobs` → `service` → `store, cluster, mail` → `crypto, config` → `domain`.

pub mod boot;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod mail;
pub mod service;
pub mod store;
