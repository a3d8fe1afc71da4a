//! The two ways in which a body shows a second factor.

use crate::crypto::recovery_code::RecoveryCode;
use crate::domain::mfa::TotpCode;
use crate::service::account::Proof;
use crate::service::{Error, Result};

/// The proof of a body, if it has one.
///
/// # Errors
/// `validation_failed` for both at once: one of them would be used up for nothing.
pub(in crate::http) fn proof_of(
    code: Option<TotpCode>,
    recovery_code: Option<RecoveryCode>,
) -> Result<Option<Proof>> {
    match (code, recovery_code) {
        (Some(_), Some(_)) => {
            Err(Error::invalid_field("recovery_code", "conflict", "send a code or a recovery code, not both"))
        }
        (Some(code), None) => Ok(Some(Proof::Totp(code))),
        (None, Some(code)) => Ok(Some(Proof::Recovery(code))),
        (None, None) => Ok(None),
    }
}

/// The same where there must be one.
///
/// # Errors
/// `validation_failed` for none or both.
pub(super) fn required(code: Option<TotpCode>, recovery_code: Option<RecoveryCode>) -> Result<Proof> {
    let missing = || Error::invalid_field("code", "required", "send `code` or `recovery_code`");
    proof_of(code, recovery_code)?.ok_or_else(missing)
}
