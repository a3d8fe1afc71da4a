//! The leader gate in front of control-plane writes (spec §3.3).

use futures::future::BoxFuture;

use super::ControlService;
use crate::service::{Code, Error, LeaderGate, Result};

impl LeaderGate for ControlService {
    fn check(&self) -> Result<()> {
        self.plane.may_write().map_err(|error| self.refused(error))
    }

    fn let_in(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.plane.let_write().await.map_err(|error| self.refused(error)) })
    }

    fn check_knows(&self) -> Result<()> {
        // A node that restarts passes through older states first; the global keys are the first thing that a
        // cluster writes (spec §13.2).
        if !self.plane.caught_up() || self.plane.view().global_keys().is_empty() {
            return Err(
                Error::new(Code::ClusterNotFormed).detail("this node has not learned the catalogue yet")
            );
        }
        Ok(())
    }

    fn applied_index(&self) -> u64 {
        self.plane.view().applied_index()
    }
}
