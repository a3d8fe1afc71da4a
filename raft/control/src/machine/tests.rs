//! Behaviour of the machine, one file a kind of document.

mod clients;
mod cluster;
mod format;
mod key_rotation;
mod keys;
mod oidc;
mod preconditions;
mod scopes;
mod support;
mod tenants;
