//! What the health routes need.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::service::health::HealthService;

/// The parts of a [`HealthState`].
pub struct HealthParts {
    /// Who knows how the node is doing.
    pub health: HealthService,
    /// `LEADER_REDIRECTS`, by node.
    pub leader_redirects: BTreeMap<String, String>,
    /// The recorder of the process.
    pub metrics: PrometheusHandle,
    /// Whether `/metrics` is served at `METRICS_ADDR` only.
    pub metrics_elsewhere: bool,
    /// The soft stop of the process, where `ALLOW_DEV_SHUTDOWN` offers it.
    pub dev_shutdown: Option<CancellationToken>,
}

/// The state of the health routes. Cheap to clone.
#[derive(Clone)]
pub struct HealthState(Arc<HealthParts>);

impl fmt::Debug for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthState").field("health", &self.0.health).finish_non_exhaustive()
    }
}

impl fmt::Debug for HealthParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthParts").field("health", &self.health).finish_non_exhaustive()
    }
}

impl HealthState {
    /// The state of these parts.
    pub fn new(parts: HealthParts) -> Self {
        Self(Arc::new(parts))
    }

    pub(super) fn health(&self) -> &HealthService {
        &self.0.health
    }

    pub(super) fn leader_redirects(&self) -> &BTreeMap<String, String> {
        &self.0.leader_redirects
    }

    pub(super) fn metrics_elsewhere(&self) -> bool {
        self.0.metrics_elsewhere
    }

    pub(super) fn dev_shutdown(&self) -> Option<&CancellationToken> {
        self.0.dev_shutdown.as_ref()
    }

    pub(super) fn render_metrics(&self) -> String {
        self.0.metrics.render()
    }
}
