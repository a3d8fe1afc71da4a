//! Which release can read what: the format of what is written.
//!
//! Batches in the log and images in snapshots carry a number. A release knows all up to [`FORMAT`] and stops at a higher
//! one. It writes nothing of a higher one than the state says ([`crate::Formation::format`]), and the state says it only
//! once every member was seen to run a release that knows it. So a release may bring commands and documents that the
//! one before cannot read, and both work in one cluster until the last node is upgraded.

use crate::audit::AUDIT_FORMAT;
use crate::command::Command;
use crate::outcome::Reject;
use crate::state::{Formation, State};

/// What every release knows, and what a cluster writes in the beginning.
pub const FIRST_FORMAT: u16 = 1;

/// The first format with what OpenID Connect asks of clients and of upstream providers.
pub const OIDC_FORMAT: u16 = 3;

/// The newest format that this release knows.
#[cfg(not(feature = "next-format"))]
pub const FORMAT: u16 = OIDC_FORMAT;
/// The newest format that this release knows: one more than is released, so that a test has a newer build to put beside
/// the current one.
#[cfg(feature = "next-format")]
pub const FORMAT: u16 = 4;

/// What a member says about an entry that only a newer release understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "log entry has format version {found}, this release knows versions up to {FORMAT}; upgrade this node"
)]
pub struct UnknownVersion {
    /// Version of the entry.
    pub found: u16,
}

/// Whether this release knows this format.
pub fn is_known(format: u16) -> bool {
    (FIRST_FORMAT..=FORMAT).contains(&format)
}

/// Whether this release knows entries of version `found`.
pub(crate) fn check_version(found: u16) -> Result<(), UnknownVersion> {
    if is_known(found) { Ok(()) } else { Err(UnknownVersion { found }) }
}

impl Command {
    /// The first format that has all of this command; what carries it is of that format.
    pub fn format(&self) -> u16 {
        match self {
            #[cfg(feature = "next-format")]
            Command::RenameTenant { .. } => 4,
            Command::TrimAudit { .. } => AUDIT_FORMAT,
            Command::PutClient { patch, .. } if patch.is_of_oidc_format() => OIDC_FORMAT,
            Command::PutTenant { patch, .. } if patch.is_of_oidc_format() => OIDC_FORMAT,
            // Every release knows it: one that is refused must harm nobody. One that is done stops a machine that does
            // not know the format, see `Machine::apply`.
            Command::RaiseFormat { .. }
            | Command::FormCluster { .. }
            | Command::AdmitNode { .. }
            | Command::AddMember { .. }
            | Command::PromoteMember { .. }
            | Command::RemoveMember { .. }
            | Command::PutTenant { .. }
            | Command::DeleteTenant { .. }
            | Command::PutClient { .. }
            | Command::DeleteClient { .. }
            | Command::RotateClientSecret { .. }
            | Command::PutScopes { .. }
            | Command::EnsureGlobalKeys { .. }
            | Command::RotateKeys { .. }
            | Command::ActivateKey { .. }
            | Command::RetireKeys { .. } => FIRST_FORMAT,
        }
    }

    /// Whether it may be written while the cluster writes `format`.
    pub(crate) fn check_format(&self, format: u16) -> Result<(), Reject> {
        let needed = self.format();
        if needed <= format { Ok(()) } else { Err(Reject::UpgradePending { needed, format }) }
    }
}

impl State {
    /// The format that the cluster writes.
    pub(crate) fn format(&self) -> u16 {
        self.formation.as_deref().map_or(FIRST_FORMAT, |formation| formation.format)
    }
}

impl Formation {
    /// The default of a field that images from before it lack.
    pub(crate) fn first_format() -> u16 {
        FIRST_FORMAT
    }

    /// Whether the field may be left out.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn is_first_format(format: &u16) -> bool {
        *format == FIRST_FORMAT
    }
}
