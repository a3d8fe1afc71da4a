//! Integration tests: one module a scenario.

mod admin;
mod gating;
mod harness;
mod layers;
mod store;
