//! The control plane from outside: its properties, its released formats, what it renders.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod arbitrary;
mod audit;
mod golden;
mod identifiers;
mod properties;
mod refusals;
mod rendered;
mod support;
