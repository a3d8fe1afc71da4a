//! Second factors (EP060-EP065; S65-S69): enrol, verify, the second half of a login, disable, new recovery codes.
//!
//! Owns what a second factor is asked for and what a proof of it is worth. Everything is judged under the lock of the
//! account's row, so of many that present one code at the same moment, at whatever node, one is accepted. A wrong code
//! counts as a failed login in the same transaction that judged it (S61). Why a code was refused stands in the audit,
//! never in the answer. Must never read the clock before it holds the lock.

mod assurance;
mod challenge;
mod disable;
mod enrol;
mod factor;
mod limited;
mod pending;
mod recovery;
mod refusal;
mod status;
mod verify;

pub use challenge::{Challenge, Passed};
pub use enrol::{Enrolled, Reauthentication};
pub use factor::Proof;
pub use pending::MfaRequired;
pub use status::MfaStatus;

pub(super) use assurance::Assurance;
pub(super) use factor::{amr_of, with_recovery};
pub(super) use refusal::{Judged, Refusal};
