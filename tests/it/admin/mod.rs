//! Administration, discovery and health of one node (EP035-EP039, EP100-EP110, EP160, EP161).

mod cleanup;
mod clients;
mod health;
mod keys;
mod tenants;
mod well_known;
