//! Administration, discovery and health of one node (EP035-EP039, EP100-EP110, EP160, EP161).

#![expect(clippy::unwrap_used, reason = "a helper of tests that meets the unexpected should fail them")]

mod attack;
mod cleanup;
mod clients;
mod health;
mod idempotency;
mod keys;
mod process;
mod tenants;
mod well_known;
