//! Whether a login comes from something new, and the mail that tells the account's owner so.
//!
//! A device is what a program says of itself, without the digits, so that an update is no new device. Somebody who imitates
//! the owner's program is not noticed; somebody who does not, is.

use std::time::Duration;

use hellojohn_control::Timestamp;
use hellojohn_control::documents::Tenant;
use sha2::{Digest as _, Sha256};

use super::AccountService;
use crate::domain::mail::MailKind;
use crate::domain::user::User;
use crate::service::Result;
use crate::service::audit::Requester;
use crate::service::mail::{Login, Recipient};
use crate::service::user_store::refused;
use crate::store::UnitOfWork;

/// How long a device is known after its last login.
const KNOWN_FOR: Duration = Duration::from_secs(180 * 24 * 60 * 60);

impl AccountService {
    /// Remembers the device of a login, and lets a mail wait in the outbox if it is a new one for an account that was used from
    /// others before; whether it does. Where no server would take the mail nothing is remembered either, nor for an address that
    /// nobody has shown to be theirs: its owner may be somebody else, and never have heard of us.
    pub(super) async fn notice_device(
        &self,
        work: &mut UnitOfWork,
        tenant: &Tenant,
        user: &User,
        requester: &Requester,
        now: Timestamp,
    ) -> Result<bool> {
        if !user.email_verified || !self.0.mails.has_server(tenant) {
            return Ok(false);
        }
        let user_agent = requester.user_agent.as_deref();
        let device = device(user, user_agent);
        let is_new = work.known_devices().seen(user.id, &device, now, now.plus(KNOWN_FOR)).await;
        if !is_new.map_err(|error| refused(&error))? {
            return Ok(false);
        }
        let login = Login { at: now, ip: requester.ip, user_agent };
        let mail = self.0.mails.new_device(tenant, &Recipient::of(Some(user), &user.email), &login)?;
        let Some(mail) = mail else { return Ok(false) };
        work.mail_tokens().queue_notice(user.id, &mail, now).await.map_err(|error| refused(&error))?;
        Ok(true)
    }

    /// After the commit of a login whose notice waits.
    pub(super) fn device_noticed(&self, tenant: &Tenant) {
        self.0.mails.written(tenant, MailKind::NewDevice, true);
    }
}

fn device(user: &User, user_agent: Option<&str>) -> [u8; 32] {
    let family = user_agent.unwrap_or_default().chars().filter(|c| !c.is_ascii_digit());
    let mut hash = Sha256::new();
    // With the account in it, so that two people's rows do not show that they use the same program.
    hash.update(user.id.0.as_bytes());
    hash.update(family.collect::<String>().as_bytes());
    hash.finalize().into()
}
