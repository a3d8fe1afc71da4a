//! The Raft log and vote on disk: sled, with an explicit data sync before anything is acknowledged.
