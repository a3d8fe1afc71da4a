//! `argon2`: cost of password hashing.

use super::intake::Intake;
use super::setting::section;
use super::value::whole;

/// Least memory that OWASP's password storage cheat sheet gives for Argon2id, in KiB.
const OWASP_MEMORY_KIB: u32 = 19_456;

section! {
    /// Parameters of Argon2id (RFC 9106). Hashes made with others are renewed at the next login.
    pub struct Argon2 in "argon2" {
        /// Memory of one hash in KiB.
        memory_kib: u32 = Literal("65536"), env ["ARGON2_MEMORY_KIB"], Public, whole(8, 1_048_576);
        /// Passes over the memory.
        iterations: u32 = Literal("3"), env ["ARGON2_ITERATIONS"], Public, whole(1, 64);
        /// Lanes.
        parallelism: u32 = Literal("2"), env ["ARGON2_PARALLELISM"], Public, whole(1, 64);
    }
}

impl Argon2 {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        // RFC 9106 §3.1: at least eight blocks of 1 KiB for each lane.
        if self.memory_kib < 8 * self.parallelism {
            intake.conflict(
                &["argon2.memory_kib", "argon2.parallelism"],
                format!("{} KiB are too little for {} lanes", self.memory_kib, self.parallelism),
                "give at least 8 KiB a lane",
            );
        } else if self.memory_kib < OWASP_MEMORY_KIB {
            intake.warn("argon2.memory_kib", "below 19456 KiB stolen hashes are cheap to attack");
        }
    }
}
