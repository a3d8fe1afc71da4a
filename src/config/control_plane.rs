//! `control_plane`: where the catalogue is projected, and how keys are retired.

use std::path::PathBuf;
use std::time::Duration;

use super::intake::Intake;
use super::setting::section;
use super::value::{duration, path};

section! {
    /// The replicated catalogue and its files.
    pub struct ControlPlane in "control_plane" {
        /// Directory of tenants/, keys/ and raft/. Every node has its own.
        fs_root: PathBuf = Literal("data/hellojohn"), env ["CONTROL_PLANE_FS_ROOT"], Public, path;
        /// How often the files are compared with the state, to notice tampering.
        fs_scan_interval: Duration = Literal("30s"), env ["FS_SCAN_INTERVAL"], Public,
            duration::between(Duration::from_millis(100), Duration::from_secs(86_400));
        /// How long a rotated signing key stays in the JWKS, unless the rotation says otherwise. 0 removes
        /// it at once.
        key_rotation_grace_seconds: Duration = Literal("60"), env ["KEY_ROTATION_GRACE_SECONDS"], Public,
            duration::between(Duration::ZERO, Duration::from_secs(366 * 86_400));
    }
}

impl ControlPlane {
    /// `access_ttl` is the life of an access token: a token outlives its key when the grace is shorter.
    pub(super) fn validate(&self, access_ttl: Duration, intake: &mut Intake<'_>) {
        if self.key_rotation_grace_seconds < access_ttl {
            intake.warn(
                "control_plane.key_rotation_grace_seconds",
                format!(
                    "{} is shorter than the life of an access token ({}): after a rotation, tokens signed with \
                     the old key stop verifying before they expire",
                    duration::show(self.key_rotation_grace_seconds),
                    duration::show(access_ttl)
                ),
            );
        }
    }
}
