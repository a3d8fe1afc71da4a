//! Change one's own password (EP010, S34).

use hellojohn_control::ClientId;

use super::fields::{Findings, policy_of};
use super::mfa::{Assurance, Judged, Proof, with_recovery};
use super::place::Place;
use super::{AccountService, password, unhashed};
use crate::crypto::secret::SecretString;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::{PasswordHash, User};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::{Account, Pool};
use crate::service::tokens::TokenSet;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Principal, Result};

/// The field of the request that carries the new password.
const NEW: &str = "new_password";

/// The password that is, and the one that shall be.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// As typed.
    pub current: SecretString,
    /// As typed.
    pub new: SecretString,
    /// The second factor, where the account has one and the session was started without it.
    pub proof: Option<Proof>,
}

impl AccountService {
    /// Changes the password. Every session ends, this one too; the answer is a new one that is worth as much, so that
    /// whoever did it stays logged in and nobody else does. No device is trusted any more.
    ///
    /// # Errors
    /// `mfa_required` when the account has a second factor and neither the session nor a proof shows it;
    /// `invalid_mfa_code`, and `invalid_credentials` when the current password is wrong, each counted as a failed login;
    /// `account_locked`;
    /// `validation_failed` with every rule that the new one breaks; `invalid_parameter` for a password over 1,024 bytes;
    /// what a login at the token's client would be refused with; `too_many_requests`; `invalid_token`; `busy`;
    /// `storage_unavailable`.
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
        let event = Event {
            requester,
            action: Action::ChangePassword,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: Some(client_id),
        };
        let changed = self.replace_password(&event, &place, &person, change).await;
        self.heard(&event, changed).await
    }

    async fn replace_password(
        &self,
        event: &Event<'_>,
        place: &Place,
        person: &Person,
        change: &PasswordChange,
    ) -> Judged<TokenSet> {
        let tenant = &place.entry.tenant;
        let (current, new) = (password(&change.current)?, password(&change.new)?);
        let same = current.expose() == new.expose();
        let user = self.confirm(event, tenant, person.user, current).await?;
        let policy = policy_of(&self.0.settings.password_policy, tenant.settings.password_policy.as_ref());
        let mut findings = Findings::default();
        if same {
            findings.unchanged_password(NEW);
        }
        findings.new_password(NEW, &new, user.email.as_str(), tenant, &policy, &self.0.settings);
        findings.into_result()?;
        let hash = self.0.hashes.hash(new).await.map_err(|error| unhashed(&error))?;
        let proof = change.proof.as_ref();
        let kept = Box::pin(self.keep_password(event, place, person, &user, proof, PasswordHash::new(hash)));
        match proof {
            Some(_) => {
                let account = Account::User(&person.tenant, person.user);
                self.limited(Pool::MfaChallenge, event.requester, account, kept).await
            }
            None => kept.await,
        }
    }

    /// The account's row first, then its sessions: a login that is under way either is ended here or sees the change.
    async fn keep_password(
        &self,
        event: &Event<'_>,
        place: &Place,
        person: &Person,
        verified: &User,
        proof: Option<&Proof>,
        new: PasswordHash,
    ) -> Judged<TokenSet> {
        let mut work = self.0.stores.begin(&place.entry.tenant).await?;
        let mut user = self.lock(&mut work, verified).await?;
        let (amr, auth_time, proven) = match self.assure(&mut work, person.session, user.id, proof).await? {
            Assurance::Enough { amr, auth_time, proven } => (amr, auth_time, proven),
            Assurance::Missing => return Err(Code::MfaRequired.into()),
            Assurance::Wrong(why) => return Err(self.count_wrong(work, user.id, event, why).await),
        };
        let (now, old) = (self.0.clock.now(), user.password_hash.as_ref());
        work.mail_tokens().drop_all_of_user(user.id).await.map_err(|error| refused(&error))?;
        let kept = work.users().record_login(user.id, old, now).await.map_err(|error| refused(&error))?
            && work
                .users()
                .replace_password_hash(user.id, old, &new)
                .await
                .map_err(|error| refused(&error))?;
        if !kept {
            return Err(Error::internal("a locked account was changed by somebody else").into());
        }
        user.password_hash = Some(new);
        let reason = RevocationReason::PasswordChanged;
        let ended = work.refresh_tokens().revoke_all_of_user(user.id, now, reason).await;
        ended.map_err(|error| refused(&error))?;
        self.forget_halves(&mut work, user.id).await?;
        let (_, tokens) = self.start_session_since(&mut work, place, &user, amr, auth_time, now).await?;
        let events = with_recovery(event, proof.filter(|_| proven));
        self.0.stores.commit_told(work, &events).await?;
        Ok(tokens)
    }
}
