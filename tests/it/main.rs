//! Integration tests: one module a scenario.

mod account;
mod harness;
mod layers;
mod store;
