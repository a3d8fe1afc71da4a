//! `http`: limits and time-outs of every HTTP listener.

use std::time::Duration;

use super::intake::Intake;
use super::setting::section;
use super::value::{bytes, duration};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

section! {
    /// Limits of every HTTP listener.
    pub struct Http in "http" {
        /// Longest wait for the head of a request.
        read_header_timeout: Duration = Literal("10s"), env ["HTTP_READ_HEADER_TIMEOUT"], Public,
            duration::between(SECOND, 5 * MINUTE);
        /// Longest handling of a request, its body included.
        request_timeout: Duration = Literal("30s"), env ["HTTP_REQUEST_TIMEOUT"], Public,
            duration::between(SECOND, 10 * MINUTE);
        /// How long a connection may wait for its next request.
        idle_timeout: Duration = Literal("75s"), env ["HTTP_IDLE_TIMEOUT"], Public,
            duration::between(SECOND, 60 * MINUTE);
        /// How long running requests may take after a stop signal.
        shutdown_grace: Duration = Literal("20s"), env ["HTTP_SHUTDOWN_GRACE"], Public,
            duration::between(Duration::ZERO, 10 * MINUTE);
        /// Largest body of a request: bytes, or a number with KiB or MiB.
        max_body_bytes: usize = Literal("1MiB"), env ["HTTP_MAX_BODY_BYTES"], Public, bytes(1_024, 64 * MIB);
        /// Largest head of a request: bytes, or a number with KiB.
        max_header_bytes: usize = Literal("32KiB"), env ["HTTP_MAX_HEADER_BYTES"], Public, bytes(8_192, MIB);
    }
}

impl Http {
    /// `write_timeout` is how long a control-plane write may take before it is answered.
    pub(super) fn validate(&self, write_timeout: Duration, intake: &mut Intake<'_>) {
        if self.request_timeout <= write_timeout {
            intake.conflict(
                &["http.request_timeout", "cluster.write_timeout_ms"],
                format!(
                    "{} is not longer than a cluster write may take ({})",
                    duration::show(self.request_timeout),
                    duration::show(write_timeout)
                ),
                "make http.request_timeout longer than cluster.write_timeout_ms",
            );
        }
    }
}
