//! Delete one's own account (EP010).

use super::comparison::changed_meanwhile;
use super::{AccountService, password};
use crate::crypto::secret::SecretString;
use crate::service::audit::{self, Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};

impl AccountService {
    /// Removes the account with its sessions, after the password: a stolen token deletes nobody.
    ///
    /// # Errors
    /// `invalid_credentials` when the password is wrong, counted as a failed login; `account_locked`;
    /// `invalid_parameter` for a password over 1,024 bytes; `too_many_requests`; `invalid_token`; `busy`;
    /// `storage_unavailable`.
    pub async fn delete_own(
        &self,
        requester: &Requester,
        principal: &Principal,
        typed: &SecretString,
    ) -> Result<()> {
        let person = person_of(principal)?;
        let deleted = self.delete(requester, &person, typed).await;
        let outcome = match &deleted {
            Ok(()) => Outcome::Ok,
            Err(error) => Outcome::Refused(error.code().as_str()),
        };
        let event = Event {
            action: Action::DeleteAccount,
            outcome,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        audit::record(requester, &event);
        deleted
    }

    async fn delete(&self, requester: &Requester, person: &Person, typed: &SecretString) -> Result<()> {
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let user = self.confirm(requester, &entry.tenant, person.user, password(typed)?).await?;
        let (now, verified) = (self.0.clock.now(), user.password_hash.as_ref());
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        if !work.users().delete(user.id, verified, now).await.map_err(|error| refused(&error))? {
            return changed_meanwhile(&mut work, user.id, now).await;
        }
        work.commit().await.map_err(|error| refused(&error))
    }
}
