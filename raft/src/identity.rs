//! Who this disk belongs to: the identity marker in `raft/`, and promises made while a cluster forms.
