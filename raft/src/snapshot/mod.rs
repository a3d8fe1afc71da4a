//! Snapshots on disk: format with magic, version and checksum; durable rename; two kept.
