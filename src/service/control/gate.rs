//! The leader gate in front of control-plane writes (spec §3.3).

use super::ControlService;
use crate::service::{LeaderGate, Result};

impl LeaderGate for ControlService {
    fn check(&self) -> Result<()> {
        self.plane.may_write().map_err(|error| self.refused(error))
    }
}
