//! The projection of the applied state to YAML files, and its reconciler.
