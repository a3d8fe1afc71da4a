//! What the token of a mailed link does: verify an address (EP051), set a new password (EP053).

use std::sync::Arc;

use hellojohn_control::{ClientId, TenantEntry};

use super::fields::{Findings, policy_of};
use super::login::LoggedIn;
use super::mail_link::admit_tenant;
use super::place::{Goal, Place};
use super::{AccountService, password, unhashed};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::{PasswordHash, UserId};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::limits::Pool;
use crate::service::user_store::refused;
use crate::service::{Code, Result};

/// The field of the request that carries the new password.
const NEW: &str = "new_password";

/// A mailed token and the password that it shall set. Both in one step; no state in between could be misused (S72).
#[derive(Debug, Clone)]
pub struct PasswordReset {
    /// The token of the link.
    pub token: SecretString,
    /// As typed.
    pub new_password: SecretString,
    /// Where to log in with `AUTH_RESET_AUTO_LOGIN`; else the client that the link was asked for through.
    pub client_id: Option<ClientId>,
    /// Whether tokens are of use to whoever asks; a page shows none.
    pub log_in: bool,
}

/// A token and the tenant that it leads to.
struct Presented {
    hash: [u8; 32],
    entry: Arc<TenantEntry>,
}

impl AccountService {
    /// Marks the address as verified. The same token again is as good until it expires, so that whoever opens a link twice, or
    /// after a program that looked at it, is not told of a fault (S74).
    ///
    /// Nothing else changes. Whoever reads the mail is nearly always the one who registered, and logging them out or taking their
    /// password would only teach people not to follow links. An owner who confirms an account that a stranger made has the
    /// reset: it ends what the stranger has, a second factor included that was enrolled before this, because that goes on being
    /// known as one of nobody known (`totp_factors.address_verified`, S75).
    ///
    /// # Errors
    /// `invalid_mail_token`, `tenant_suspended`, `too_many_requests`, `storage_unavailable`.
    pub async fn verify_email(&self, requester: &Requester, token: &SecretString) -> Result<()> {
        self.0.limits.guess(Pool::Verify, requester.ip, None, self.confirm_address(requester, token)).await
    }

    async fn confirm_address(&self, requester: &Requester, token: &SecretString) -> Result<()> {
        let presented = self.presented(token)?;
        let tenant = &presented.entry.tenant;
        let mut work = self.0.stores.begin(tenant).await?;
        let confirmed = work.mail_tokens().confirm(&presented.hash, self.0.clock.now()).await;
        let confirmed = confirmed.map_err(|error| refused(&error))?;
        let user = confirmed.map(|confirmed| confirmed.user);
        let event = event(requester, &presented, Action::VerifyEmail, user);
        match confirmed {
            None => {
                work.rollback();
                self.0.stores.judged(&event, Err(Code::InvalidMailToken.into())).await
            }
            // Nothing has happened that could be told.
            Some(confirmed) if !confirmed.is_news => {
                work.rollback();
                Ok(())
            }
            Some(_) => self.0.stores.commit_told(work, &[event]).await,
        }
    }

    /// Sets a new password. Every session ends, a hold after failed logins too, and every other link that was mailed to the
    /// account is dead. The address is verified by it, so an account that somebody else made with this address is from now on
    /// its owner's alone (S75). A password that is refused does not use the token up.
    ///
    /// # Errors
    /// `invalid_mail_token`; `validation_failed` with every rule that the password breaks; `invalid_parameter` for a password
    /// over 1,024 bytes; `tenant_suspended`; for a client that is named, what a login there would be refused with; `too_many_requests`;
    /// `busy`;
    /// `storage_unavailable`.
    pub async fn reset_password(
        &self,
        requester: &Requester,
        reset: &PasswordReset,
    ) -> Result<Option<LoggedIn>> {
        let work = Box::pin(self.reset_by(requester, reset));
        self.0.limits.guess(Pool::Forgot, requester.ip, None, work).await
    }

    async fn reset_by(&self, requester: &Requester, reset: &PasswordReset) -> Result<Option<LoggedIn>> {
        let presented = self.presented(&reset.token)?;
        let done = self.reset(requester, &presented, reset).await;
        let refused = event(requester, &presented, Action::ResetPassword, None);
        self.0.stores.judged(&refused, done).await
    }

    async fn reset(
        &self,
        requester: &Requester,
        presented: &Presented,
        reset: &PasswordReset,
    ) -> Result<Option<LoggedIn>> {
        let tenant = &presented.entry.tenant;
        let typed = password(&reset.new_password)?;
        let mut work = self.0.stores.begin(tenant).await?;
        let found = work.mail_tokens().find_reset(&presented.hash, self.0.clock.now()).await;
        let found = found.map_err(|error| refused(&error))?.ok_or(Code::InvalidMailToken)?;
        work.commit().await.map_err(|error| refused(&error))?;
        let place = self.login_place(presented, reset.client_id.as_ref(), found.client_id.as_ref())?;
        let place = place.filter(|_| reset.log_in && self.0.settings.reset_auto_login);

        let policy = policy_of(&self.0.settings.password_policy, tenant.settings.password_policy.as_ref());
        let mut findings = Findings::default();
        findings.new_password(NEW, &typed, found.email.as_str(), tenant, &policy, &self.0.settings);
        findings.into_result()?;
        let hash = self.0.hashes.hash(typed).await.map_err(|error| unhashed(&error))?;
        let event = event(requester, presented, Action::ResetPassword, Some(found.user));
        self.keep_reset(&event, presented, place.as_ref(), found.user, &PasswordHash::new(hash)).await
    }

    /// Account, token, sessions: in this order everywhere, so that nobody waits in a circle.
    async fn keep_reset(
        &self,
        event: &Event<'_>,
        presented: &Presented,
        place: Option<&Place>,
        user: UserId,
        hash: &PasswordHash,
    ) -> Result<Option<LoggedIn>> {
        let mut work = self.0.stores.begin(&presented.entry.tenant).await?;
        let account = work.users().find_for_update(user).await.map_err(|error| refused(&error))?;
        account.ok_or(Code::InvalidMailToken)?;
        let now = self.0.clock.now();
        let reset =
            work.mail_tokens().reset(&presented.hash, hash, now).await.map_err(|error| refused(&error))?;
        reset.filter(|reset| *reset == user).ok_or(Code::InvalidMailToken)?;
        work.mail_tokens().drop_all_of_user(user).await.map_err(|error| refused(&error))?;
        let reason = RevocationReason::PasswordChanged;
        let ended = work.refresh_tokens().revoke_all_of_user(user, now, reason).await;
        ended.map_err(|error| refused(&error))?;
        self.forget_halves(&mut work, user).await?;
        let foreign = work.totp().is_of_nobody_known(user).await.map_err(|error| refused(&error))?;
        if foreign {
            // Enrolled before anybody had shown that the address is theirs: it is of whoever made the account (S75).
            self.remove_factor(&mut work, user).await?;
        }
        let Some(place) = place else {
            self.0.stores.commit_told(work, &[*event]).await?;
            return Ok(None);
        };
        let account = work.users().find_by_id(user).await.map_err(|error| refused(&error))?;
        let account = account.ok_or(Code::InvalidMailToken)?;
        // A mailed link is one factor, like a password (S71).
        let goal = Goal::Tokens(place.clone());
        let login = Event { action: Action::Login, target: None, client_id: goal.client_id(), ..*event };
        let entered = self.enter(work, &goal, &account, &[*event, login], None, None).await;
        // No proof was shown, so nothing was counted and told.
        Ok(Some(entered.map_err(|refusal| refusal.error)?))
    }

    /// Where a reset logs in, if it does: at the client that is named now, else at the one through which the link was asked
    /// for, if people may still log in there.
    fn login_place(
        &self,
        presented: &Presented,
        named: Option<&ClientId>,
        asked: Option<&ClientId>,
    ) -> Result<Option<Place>> {
        let slug = &presented.entry.tenant.slug;
        Ok(match (named, asked) {
            (Some(client_id), _) => Some(self.place(slug, client_id)?),
            (None, Some(client_id)) => self.place(slug, client_id).ok(),
            (None, None) => None,
        })
    }

    fn presented(&self, token: &SecretString) -> Result<Presented> {
        let token = OpaqueToken::parse_of(Kind::Mail, token.expose()).map_err(|_| Code::InvalidMailToken)?;
        let entry = self.0.plane.view().tenant(token.tenant()).cloned().ok_or(Code::InvalidMailToken)?;
        admit_tenant(&entry.tenant)?;
        Ok(Presented { hash: token.hash(), entry })
    }
}

fn event<'a>(
    requester: &'a Requester,
    presented: &'a Presented,
    action: Action,
    user: Option<UserId>,
) -> Event<'a> {
    Event {
        requester,
        action,
        outcome: Outcome::Ok,
        tenant: &presented.entry.tenant.slug,
        actor: user,
        target: user.map(|user| user.0),
        client_id: None,
    }
}
