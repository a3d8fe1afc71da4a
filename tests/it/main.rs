//! Tests of the whole: what no single module can show.

mod layers;
//! Integration tests: one module a scenario.
mod harness;
mod store;
