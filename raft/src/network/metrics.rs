//! Figures of the peer network.

use std::time::Instant;

use super::client::CallError;
use super::rpc::RpcKind;

/// Times one call and counts its failure; a call whose caller went away counts as cancelled.
pub(super) struct CallTimer {
    kind: RpcKind,
    started: Instant,
    finished: bool,
}

impl CallTimer {
    pub(super) fn start(kind: RpcKind) -> Self {
        Self { kind, started: Instant::now(), finished: false }
    }

    pub(super) fn finish<T>(mut self, result: &Result<T, CallError>) {
        self.finished = true;
        metrics::histogram!("hellojohn_raft_rpc_seconds", "kind" => self.kind.label())
            .record(self.started.elapsed());
        if let Err(error) = result {
            count_failure(self.kind, error.label());
        }
    }
}

impl Drop for CallTimer {
    fn drop(&mut self) {
        if !self.finished {
            count_failure(self.kind, "cancelled");
        }
    }
}

fn count_failure(kind: RpcKind, reason: &'static str) {
    metrics::counter!("hellojohn_raft_rpc_failures_total", "kind" => kind.label(), "reason" => reason)
        .increment(1);
}

/// Counts a call that was made again because its answer was late.
pub(super) fn count_repeated(kind: RpcKind) {
    metrics::counter!("hellojohn_raft_rpc_repeated_total", "kind" => kind.label()).increment(1);
}

/// Counts a connection that the server turned down, by reason.
pub(super) fn count_refused_connection(reason: &'static str) {
    metrics::counter!("hellojohn_raft_connections_refused_total", "reason" => reason).increment(1);
}
