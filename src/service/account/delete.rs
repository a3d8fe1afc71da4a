//! Delete one's own account (EP010).

use hellojohn_control::documents::Tenant;

use super::mfa::{Assurance, Judged, Proof, with_recovery};
use super::{AccountService, password};
use crate::crypto::secret::SecretString;
use crate::domain::user::User;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Principal, Result};

impl AccountService {
    /// Removes the account with its sessions, after the password: a stolen token deletes nobody. Nor does a stolen password,
    /// where the account has a second factor.
    ///
    /// # Errors
    /// `mfa_required` when the account has a second factor and neither the session nor a proof shows it;
    /// `invalid_mfa_code`, and `invalid_credentials` when the password is wrong, each counted as a failed login;
    /// `account_locked`;
    /// `invalid_parameter` for a password over 1,024 bytes; `too_many_requests`; `invalid_token`; `busy`;
    /// `storage_unavailable`.
    pub async fn delete_own(
        &self,
        requester: &Requester,
        principal: &Principal,
        typed: &SecretString,
        proof: Option<&Proof>,
    ) -> Result<()> {
        let person = person_of(principal)?;
        let event = Event {
            requester,
            action: Action::DeleteAccount,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        let deleted = self.delete(&event, &person, typed, proof).await;
        self.heard(&event, deleted).await
    }

    async fn delete(
        &self,
        event: &Event<'_>,
        person: &Person,
        typed: &SecretString,
        proof: Option<&Proof>,
    ) -> Judged<()> {
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let verified = self.confirm(event, &entry.tenant, person.user, password(typed)?).await?;
        let ended = Box::pin(self.delete_proven(event, &entry.tenant, person, &verified, proof));
        match proof {
            Some(_) => {
                let account = Account::User(&person.tenant, person.user);
                self.limited(Pool::MfaChallenge, event.requester, account, ended).await
            }
            None => ended.await,
        }
    }

    /// After the password.
    async fn delete_proven(
        &self,
        event: &Event<'_>,
        tenant: &Tenant,
        person: &Person,
        verified: &User,
        proof: Option<&Proof>,
    ) -> Judged<()> {
        let mut work = self.0.stores.begin(tenant).await?;
        let user = self.lock(&mut work, verified).await?;
        let proven = match self.assure(&mut work, person.session, user.id, proof).await? {
            Assurance::Enough { proven, .. } => proven,
            Assurance::Missing => return Err(Code::MfaRequired.into()),
            Assurance::Wrong(why) => return Err(self.count_wrong(work, user.id, event, why).await),
        };
        let (now, old) = (self.0.clock.now(), user.password_hash.as_ref());
        if !work.users().delete(user.id, old, now).await.map_err(|error| refused(&error))? {
            return Err(Error::internal("a locked account was changed by somebody else").into());
        }
        let events = with_recovery(event, proof.filter(|_| proven));
        Ok(self.0.stores.commit_told(work, &events).await?)
    }
}
