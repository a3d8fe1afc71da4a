//! Integration tests: one module a scenario.

mod account;
mod admin;
mod cli;
mod cluster;
mod gating;
mod harness;
mod layers;
mod limits;
mod monitoring;
mod openapi;
mod store;
