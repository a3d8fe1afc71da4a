//! Change one's own password (EP010, S34).

use hellojohn_control::ClientId;

use super::comparison::changed_meanwhile;
use super::fields::{Findings, policy_of};
use super::place::Place;
use super::{AccountService, password, unhashed};
use crate::crypto::secret::SecretString;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::{PasswordHash, User};
use crate::service::audit::{self, Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::tokens::TokenSet;
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};

/// The field of the request that carries the new password.
const NEW: &str = "new_password";

/// The password that is, and the one that shall be.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// As typed.
    pub current: SecretString,
    /// As typed.
    pub new: SecretString,
}

impl AccountService {
    /// Changes the password. Every session ends, this one too; the answer is a new one, so that whoever did it stays
    /// logged in and nobody else does.
    ///
    /// # Errors
    /// `invalid_credentials` when the current password is wrong, counted as a failed login; `account_locked`;
    /// `validation_failed` with every rule that the new one breaks; `invalid_parameter` for a password over 1,024 bytes;
    /// what a login at the token's client would be refused with; `invalid_token`; `busy`; `storage_unavailable`.
    pub async fn change_password(
        &self,
        requester: &Requester,
        principal: &Principal,
        change: &PasswordChange,
    ) -> Result<TokenSet> {
        let person = person_of(principal)?;
        let client_id = principal.client_id.as_deref().ok_or(Code::InvalidToken)?;
        let place =
            self.place(&person.tenant, &ClientId::parse(client_id).map_err(|_| Code::InvalidToken)?)?;
        let changed = self.replace_password(&place, &person, change).await;
        let outcome = match &changed {
            Ok(_) => Outcome::Ok,
            Err(error) => Outcome::Refused(error.code().as_str()),
        };
        let event = Event {
            action: Action::ChangePassword,
            outcome,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: Some(client_id),
        };
        audit::record(requester, &event);
        changed
    }

    async fn replace_password(
        &self,
        place: &Place,
        person: &Person,
        change: &PasswordChange,
    ) -> Result<TokenSet> {
        let tenant = &place.entry.tenant;
        let (current, new) = (password(&change.current)?, password(&change.new)?);
        let same = current.expose() == new.expose();
        let user = self.confirm(tenant, person.user, current).await?;
        let policy = policy_of(&self.0.settings.password_policy, tenant.settings.password_policy.as_ref());
        let mut findings = Findings::default();
        if same {
            findings.unchanged_password(NEW);
        }
        findings.new_password(NEW, &new, user.email.as_str(), &tenant.slug, &policy, &self.0.settings);
        findings.into_result()?;
        let hash = self.0.hashes.hash(new).await.map_err(|error| unhashed(&error))?;
        self.keep_password(place, &user, &PasswordHash::new(hash)).await
    }

    /// The account's row first, then its sessions: a login that is under way either is ended here or sees the change.
    async fn keep_password(&self, place: &Place, user: &User, new: &PasswordHash) -> Result<TokenSet> {
        let (now, old) = (self.0.clock.now(), user.password_hash.as_ref());
        let mut work = self.0.stores.begin(&place.entry.tenant).await?;
        // First, because a reset takes its locks in this order; what is not kept is rolled back.
        work.mail_tokens().drop_all_of_user(user.id).await.map_err(|error| refused(&error))?;
        let kept = work.users().record_login(user.id, old, now).await.map_err(|error| refused(&error))?
            && work
                .users()
                .replace_password_hash(user.id, old, new)
                .await
                .map_err(|error| refused(&error))?;
        if !kept {
            return changed_meanwhile(&mut work, user.id, now).await;
        }
        let reason = RevocationReason::PasswordChanged;
        let ended = work.refresh_tokens().revoke_all_of_user(user.id, now, reason).await;
        ended.map_err(|error| refused(&error))?;
        let (_, tokens) = self.start_session(&mut work, place, user, now).await?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(tokens)
    }
}
