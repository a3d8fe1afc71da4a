//! Show somebody a new TOTP secret (EP060, S66).

use super::factor::{Proof, with_recovery};
use super::refusal::{Judged, Refusal};
use crate::crypto::secret::SecretString;
use crate::crypto::totp::TotpSecret;
use crate::domain::mfa::{ENROLMENT_TTL, Enrolment, FactorId, RECENT_LOGIN};
use crate::domain::rng;
use crate::domain::user::User;
use crate::service::account::{AccountService, password};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Principal, Result};
use crate::store::UnitOfWork;

/// What somebody says besides holding a token.
#[derive(Debug, Clone, Default)]
pub struct Reauthentication {
    /// The password as typed.
    pub password: Option<SecretString>,
    /// The second factor that shall be replaced.
    pub proof: Option<Proof>,
}

/// A new secret, to be shown once.
#[derive(Debug)]
pub struct Enrolled {
    /// As people type it.
    pub secret_base32: SecretString,
    /// As an authenticator reads it.
    pub otpauth_url: SecretString,
}

impl AccountService {
    /// Makes a secret that waits for its first code. One that waits already is forgotten; the active one, if there is
    /// one, stays in force until then.
    ///
    /// # Errors
    /// `reauthentication_required` without a recent login or the password, and while a second factor is active without
    /// the password and a proof of it; `invalid_credentials`, `invalid_mfa_code`, each counted as a failed login;
    /// `account_locked`; `too_many_requests`; `invalid_parameter` for a password over 1,024 bytes; `invalid_token`; `busy`;
    /// `storage_unavailable`.
    pub async fn enrol_totp(
        &self,
        requester: &Requester,
        principal: &Principal,
        said: &Reauthentication,
    ) -> Result<Enrolled> {
        let person = person_of(principal)?;
        let event = Event {
            requester,
            action: Action::MfaEnrol,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        let enrolled = self.enrol(&event, &person, said).await;
        self.heard(&event, enrolled).await
    }

    async fn enrol(&self, event: &Event<'_>, person: &Person, said: &Reauthentication) -> Judged<Enrolled> {
        let account = Account::User(&person.tenant, person.user);
        self.0.limits.spend(Pool::MfaEnroll, event.requester.ip, Some(account)).await?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let verified = match &said.password {
            Some(typed) => Some(self.confirm(event, &entry.tenant, person.user, password(typed)?).await?),
            None => None,
        };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = match &verified {
            Some(verified) => self.lock(&mut work, verified).await?,
            None => {
                let found = work.users().find_for_update(person.user).await;
                found.map_err(|error| refused(&error))?.ok_or(Code::InvalidToken)?
            }
        };
        let factor = work.totp().find(user.id).await.map_err(|error| refused(&error))?;
        let replaces = match (factor, verified, &said.proof) {
            (None, Some(_), _) => None,
            (None, None, _) => {
                self.logged_in_recently(&mut work, person).await?;
                None
            }
            (Some(factor), Some(_), Some(proof)) => {
                if let Err(why) = self.use_up(&mut work, &person.tenant, user.id, &factor, proof).await? {
                    return Err(self.count_wrong(work, user.id, event, why).await);
                }
                Some(factor.id)
            }
            (Some(_), _, _) => {
                return Err(again(
                    "the account has a second factor: send `password` and `code` or `recovery_code`",
                ));
            }
        };
        let enrolled = self.keep_secret(&mut work, &entry.tenant.name, person, &user, replaces).await?;
        let proof = said.proof.as_ref().filter(|_| replaces.is_some());
        self.0.stores.commit_told(work, &with_recovery(event, proof)).await?;
        Ok(enrolled)
    }

    async fn keep_secret(
        &self,
        work: &mut UnitOfWork,
        issuer: &str,
        person: &Person,
        user: &User,
        replaces: Option<FactorId>,
    ) -> Result<Enrolled> {
        let rng = self.0.rng.as_ref();
        let secret = TotpSecret::generate(rng);
        let sealed =
            self.0.sealer.seal_totp(rng, &person.tenant, user.id, &secret).map_err(Error::internal)?;
        let enrolment = Enrolment {
            id: FactorId(rng::uuid(rng)),
            secret: sealed,
            replaces,
            expires_at: self.0.clock.now().plus(ENROLMENT_TTL),
        };
        work.totp().enrol(user.id, &enrolment).await.map_err(|error| refused(&error))?;
        Ok(Enrolled {
            secret_base32: secret.base32(),
            otpauth_url: secret.otpauth_url(issuer, user.email.as_str()),
        })
    }

    /// A token alone, which may be stolen or of a device that somebody left, adds no factor.
    async fn logged_in_recently(&self, work: &mut UnitOfWork, person: &Person) -> Judged<()> {
        let family = work.refresh_tokens().find_family(person.session).await;
        let family = family.map_err(|error| refused(&error))?;
        let family = family.filter(|family| family.live_at(self.0.clock.now())).ok_or(Code::InvalidToken)?;
        if self.0.clock.now().since(family.auth_time) <= RECENT_LOGIN {
            Ok(())
        } else {
            Err(again("the login is more than ten minutes ago: send `password`"))
        }
    }
}

fn again(detail: &'static str) -> Refusal {
    Error::new(Code::ReauthenticationRequired).detail(detail).into()
}
