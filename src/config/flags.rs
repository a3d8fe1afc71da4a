//! `flags`: switches.

use super::intake::Intake;
use super::setting::section;
use super::value::switch;

section! {
    /// Switches.
    pub struct Flags in "flags" {
        /// Migrate the global database at start.
        migrate: bool = Literal("0"), env ["FLAGS_MIGRATE"], Public, switch;
        /// Offer POST /__dev/shutdown, which stops the process without asking who calls. For tests only.
        allow_dev_shutdown: bool = Literal("0"), env ["ALLOW_DEV_SHUTDOWN"], Public, switch;
    }
}

impl Flags {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        if self.allow_dev_shutdown {
            intake.warn("flags.allow_dev_shutdown", "whoever reaches the listener can stop this process");
        }
    }
}
