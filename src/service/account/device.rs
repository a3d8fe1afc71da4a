//! Whether a login comes from something new, and the mail that tells the account's owner so.
//!
//! Whoever knows the password could log in with ever other names and bury the owner in mails, so there is a pause between two: the
//! first goes at once, the second when the pause is over. Within the pause no third is written, and its device stays unknown: its next
//! login is told of. So nobody stays unseen by coming right after somebody else.
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
/// Between two notices to the owner of one account.
const PAUSE: Duration = Duration::from_secs(60 * 60);

impl AccountService {
    /// Remembers the device of a login, and lets a mail wait in the outbox if it is a new one for an account that was used from
    /// others before; whether it does. The account's row must be locked. Where no server would take the mail nothing is remembered either, nor for an address that
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
        let known = work.known_devices().look_up(user.id, &device, now).await;
        let known = known.map_err(|error| refused(&error))?;
        let is_new = known.any && !known.this;
        if is_new {
            let due = work.known_devices().next_notice(user.id, now, PAUSE).await;
            let Some(due) = due.map_err(|error| refused(&error))? else { return Ok(false) };
            let login = Login { at: now, ip: requester.ip, user_agent };
            let mail = self.0.mails.new_device(tenant, &Recipient::of(Some(user), &user.email), &login)?;
            let Some(mail) = mail else { return Ok(false) };
            work.mail_tokens().queue_notice(user.id, &mail, due).await.map_err(|error| refused(&error))?;
        }
        let remembered = work.known_devices().remember(user.id, &device, now, now.plus(KNOWN_FOR)).await;
        remembered.map_err(|error| refused(&error))?;
        Ok(is_new)
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
