//! One mail: opened, rendered, handed to a server, and what becomes of its row.

use std::time::Duration;

use hellojohn_control::{Timestamp, View};

use super::super::count;
use super::super::letter::Letter;
use super::Delivery;
use crate::crypto::sealed::OpenError;
use crate::domain::rng;
use crate::domain::sender::Line;
use crate::mail::{Look, Message, SendError, Server};
use crate::service::Result;
use crate::service::user_store::refused;
use crate::store::Database;
use crate::store::pg::outbox::{DeadReason, Taken};

/// First pause before a mail is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause; also about how late a mail is when its server comes back.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How often a server that answers may say "not now" before a mail is given up. One that cannot be reached may be away for as
/// long as the mail lives.
const MAX_REFUSALS: u32 = 12;

/// How a mail ended that is not tried again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Done {
    /// A server has it.
    Sent,
    /// It is of no more use.
    Over(DeadReason),
}

impl Delivery {
    /// Sends one mail, or finds that there is nothing to send.
    pub(super) async fn send(
        &self,
        view: &View,
        server: &Server,
        mail: &Taken,
    ) -> std::result::Result<Done, SendError> {
        let parts = &self.0.parts;
        if mail.expires_at <= parts.clock.now() {
            return Ok(Done::Over(DeadReason::Expired));
        }
        let letter = match parts.mails.0.sealing.open_mail(&mail.tenant, mail.id, &mail.sealed) {
            Ok(bytes) => Letter::decode(bytes.expose()).ok(),
            Err(OpenError::Damaged) => None,
            // Another node may have it.
            Err(error @ OpenError::OtherMasterKey { .. }) => {
                return Err(SendError::Unusable(error.to_string()));
            }
        };
        let Some(letter) = letter else { return Ok(Done::Over(DeadReason::Unreadable)) };
        let gone = || SendError::Unusable("the tenant is not known here".to_owned());
        let tenant = &view.tenant(&mail.tenant).ok_or_else(gone)?.tenant;
        let branding = tenant.settings.branding.as_ref();
        let look = Look::new(&tenant.name, branding);
        let content = parts.templates.render(mail.kind, &look, &letter.words()).map_err(|error| {
            SendError::Unusable(format!("a template: {} in line {}", error.kind(), error.line().unwrap_or(0)))
        })?;
        // Under the name that people know, where the tenant gives one.
        let from = match branding.and_then(|branding| branding.display_name.as_deref()) {
            Some(name) => server.from.clone().named(Line::new(name)),
            None => server.from.clone(),
        };
        let message =
            Message { id: mail.id, written: mail.created_at, from: &from, to: &letter.to, content: &content };
        parts.smtp.send(server, &message).await.map(|()| Done::Sent)
    }

    /// Writes down what became of a mail.
    pub(super) async fn settle(
        &self,
        database: &Database,
        mail: &Taken,
        result: std::result::Result<Done, SendError>,
    ) -> Result<()> {
        let now = self.0.parts.clock.now();
        let (settled, outcome) = match result {
            Ok(Done::Sent) => (database.mail_sent(mail).await, "sent"),
            Ok(Done::Over(reason)) => (database.bury_mail(mail, reason, now).await, reason.as_str()),
            Err(SendError::Rejected(_)) => self.reject(database, mail, now).await,
            Err(SendError::Refused(_)) if mail.refusals + 1 >= MAX_REFUSALS => {
                self.reject(database, mail, now).await
            }
            Err(error) => {
                let refused = matches!(error, SendError::Refused(_));
                let next = now.plus(self.pause(mail.attempts)).min(mail.expires_at);
                (database.postpone_mail(mail, next, refused).await, "retried")
            }
        };
        // Not ours any more: the lease had ended, and who has it now counts it.
        if settled.map_err(|error| refused(&error))? {
            count(mail.kind, outcome);
            if !matches!(outcome, "sent" | "retried") {
                tracing::warn!(
                    target: "audit",
                    action = "mail.dropped",
                    outcome = "refused",
                    reason = outcome,
                    tenant = mail.tenant.as_str(),
                    object = %mail.id,
                    kind = mail.kind.as_str(),
                    attempts = mail.attempts,
                    "a mail was given up"
                );
            }
        }
        Ok(())
    }

    async fn reject(
        &self,
        database: &Database,
        mail: &Taken,
        now: Timestamp,
    ) -> (std::result::Result<bool, crate::store::Error>, &'static str) {
        let reason = DeadReason::Rejected;
        (database.bury_mail(mail, reason, now).await, reason.as_str())
    }

    /// The pause after the nth attempt: doubled each time, up to a fifth longer or shorter, so that mails spread.
    fn pause(&self, attempts: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        let [byte] = rng::bytes::<1>(self.0.parts.rng.as_ref());
        doubled.mul_f64(0.8 + 0.4 * f64::from(byte) / 255.0)
    }
}
