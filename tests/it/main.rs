//! Integration tests: one module a scenario.

mod admin;
mod gating;
mod account;
mod harness;
mod layers;
mod store;
