//! Integration tests: one module a scenario.

mod harness;
mod layers;
mod store;
