//! Look at one's own second factors.

use hellojohn_control::Timestamp;

use crate::service::account::AccountService;
use crate::service::authenticate::person_of;
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};

/// What an account has, without anything that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfaStatus {
    /// Since when an authenticator is asked for; `None`: it is not.
    pub totp_since: Option<Timestamp>,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: u32,
    /// Devices that are not asked for it.
    pub trusted_devices: u64,
}

impl AccountService {
    /// The second factors of the account that the token speaks for.
    ///
    /// # Errors
    /// `invalid_token`, `storage_unavailable`.
    pub async fn mfa_status(&self, principal: &Principal) -> Result<MfaStatus> {
        let person = person_of(principal)?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let factor = work.totp().find(person.user).await.map_err(|error| refused(&error))?;
        let devices = work.trusted_devices().count(person.user, self.0.clock.now()).await;
        let trusted_devices = devices.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(MfaStatus {
            totp_since: factor.as_ref().map(|factor| factor.created_at),
            recovery_codes_left: factor.map_or(0, |factor| factor.recovery_codes),
            trusted_devices,
        })
    }
}
