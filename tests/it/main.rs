//! Integration tests: one module a scenario.

mod account;
mod cluster;
mod harness;
mod layers;
mod store;
