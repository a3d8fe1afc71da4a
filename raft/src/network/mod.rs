//! Peer RPC: length-prefixed frames over TCP, with mutual TLS bound to node names.
