//! The second half of a login (EP062).
//!
//! Asks everything again that the first half was asked, with the same functions: between the two an account can be
//! disabled, held back or given another password, a client disabled, a tenant suspended (S35, S68).

use hellojohn_control::{ClientId, Slug, TenantEntry};
use subtle::ConstantTimeEq as _;

use super::factor::{Proof, amr_of, with_recovery};
use super::pending::fingerprint;
use super::refusal::{Judged, Refusal};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::domain::mfa::{DEVICE_TTL, PendingGoal, PendingLogin};
use crate::domain::refresh_token::TokenHash;
use crate::domain::user::{User, UserId};
use crate::service::account::AccountService;
use crate::service::account::comparison::standing;
use crate::service::account::login::Started;
use crate::service::account::mail_link::admit_tenant;
use crate::service::account::place::{Goal, PASSWORD, Place, Visit, admit};
use crate::service::audit::{Action, Event, Outcome, Requester, Told as _};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};
use crate::store::UnitOfWork;

/// The second half of a login.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// What the first half was answered, as sent.
    pub token: SecretString,
    /// The second factor.
    pub proof: Proof,
    /// Whether the device shall be trusted from now on.
    pub remember_device: bool,
    /// The cookie of a browser session that came with it: where another one begins, this one ends (S77).
    pub cookie: Option<SecretString>,
    /// Why the request may not be answered with the cookie of a session; asked where the first half was begun for one (S78).
    pub no_cookie: Option<Error>,
}

/// A login that is complete.
#[derive(Debug)]
pub struct Passed {
    /// What the first half was begun for.
    pub started: Started,
    /// What the device has to show at later logins, if it is trusted from now on.
    pub device: Option<SecretString>,
}

impl AccountService {
    /// Finishes a login: with tokens or with the session of a browser, as it was begun (S68).
    ///
    /// # Errors
    /// For a browser whatever `no_cookie` says, and nothing is counted;
    /// `invalid_mfa_token` for every token that no login can be finished with; `invalid_mfa_code`, counted as a failed
    /// login and against the token; what a login is refused with after the right password; `too_many_requests`;
    /// `storage_unavailable`.
    pub async fn challenge(&self, requester: &Requester, challenge: &Challenge) -> Result<Passed> {
        let dead = || Error::new(Code::InvalidMfaToken);
        let token = OpaqueToken::parse_of(Kind::Mfa, challenge.token.expose()).map_err(|_| dead())?;
        let view = self.0.plane.view();
        let entry = view.tenant(token.tenant()).ok_or_else(dead)?;
        let hash = TokenHash(token.hash());
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.mfa_tokens().find(&hash, self.0.clock.now()).await;
        let login = found.map_err(|error| refused(&error))?;
        // The limit may ask Redis, and nobody waits for that with a connection in hand.
        work.commit().await.map_err(|error| refused(&error))?;
        let client_id =
            login.as_ref().and_then(|login| login.goal.client()).map(|client| client.client_id.clone());
        let event = Event {
            requester,
            action: Action::MfaChallenge,
            outcome: Outcome::Ok,
            tenant: token.tenant(),
            actor: login.as_ref().map(|login| login.user_id),
            target: None,
            client_id: client_id.as_ref().map(ClientId::as_str),
        };
        // Lines and no rows: nothing is counted, so anybody could write as many as they like.
        let Some(login) = login else {
            event.ended(Outcome::Refused("unknown_token")).tell();
            return Err(dead().context("unknown_token"));
        };
        if let (PendingGoal::Browser { .. }, Some(refused)) = (&login.goal, &challenge.no_cookie) {
            event.ended(Outcome::Refused(refused.code().as_str())).tell();
            return Err(refused.clone());
        }
        let account = Account::User(token.tenant(), login.user_id);
        let second = Box::pin(self.second_half(&event, entry, hash, login, challenge));
        let passed = self.limited(Pool::MfaChallenge, requester, account, second).await;
        let passed = self.heard(&event, passed).await?;
        if matches!(passed.started, Started::Browser(_)) {
            self.leave_behind(requester, challenge.cookie.as_ref()).await;
        }
        Ok(passed)
    }

    async fn second_half(
        &self,
        event: &Event<'_>,
        entry: &TenantEntry,
        hash: TokenHash,
        login: PendingLogin,
        challenge: &Challenge,
    ) -> Judged<Passed> {
        let tenant = &entry.tenant.slug;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let (goal, user) = self.admit_again(&mut work, &hash, &login, tenant).await?;
        let factor = work.totp().find(user.id).await.map_err(|error| refused(&error))?;
        let factor = factor.ok_or_else(|| Refusal::new(Code::InvalidMfaToken, "factor_gone"))?;
        if let Err(why) = self.use_up(&mut work, tenant, user.id, &factor, &challenge.proof).await? {
            work.mfa_tokens().count_wrong(&hash).await.map_err(|error| refused(&error))?;
            return Err(self.count_wrong(work, user.id, event, why).await);
        }
        let now = self.0.clock.now();
        let used = work.mfa_tokens().use_up(&hash).await.map_err(|error| refused(&error))?;
        let old = user.password_hash.as_ref();
        let recorded = work.users().record_login(user.id, old, now).await.map_err(|error| refused(&error))?;
        if !used || !recorded {
            return Err(Refusal::new(Code::InvalidMfaToken, "used_meanwhile"));
        }
        let noticed = self.notice_device(&mut work, &entry.tenant, &user, event.requester, now).await?;
        let started = self.start(&mut work, &goal, &user, amr_of(&challenge.proof), now).await?;
        let device = if challenge.remember_device {
            Some(self.trust_device(&mut work, tenant, user.id).await?)
        } else {
            None
        };
        let mut events = with_recovery(event, Some(&challenge.proof));
        if device.is_some() {
            events.push(Event { action: Action::TrustDevice, ..*event });
        }
        events.push(Event { action: Action::Login, ..*event });
        self.0.stores.commit_told(work, &events).await?;
        if noticed {
            self.device_noticed(&entry.tenant);
        }
        Ok(Passed { started, device })
    }

    /// Locks the account, looks at the token again, and asks what a login is asked.
    async fn admit_again(
        &self,
        work: &mut UnitOfWork,
        hash: &TokenHash,
        login: &PendingLogin,
        tenant: &Slug,
    ) -> Judged<(Goal, User)> {
        let dead = |why| Refusal::new(Code::InvalidMfaToken, why);
        let user = work.users().find_for_update(login.user_id).await.map_err(|error| refused(&error))?;
        let user = user.ok_or_else(|| dead("account_gone"))?;
        // Whoever waited for the lock is judged by what is true after the wait.
        let now = self.0.clock.now();
        let still = work.mfa_tokens().find(hash, now).await.map_err(|error| refused(&error))?;
        let login = still.ok_or_else(|| dead("used_meanwhile"))?;
        let view = self.0.plane.view();
        let entry = view.tenant(tenant).cloned().ok_or_else(|| dead("tenant_gone"))?;
        let client = match login.goal.client() {
            // A client that was deleted and made again is another one (spec §4).
            Some(wanted) => {
                let client = entry.clients.get(&wanted.client_id).filter(|client| client.id == wanted.uuid);
                Some(client.cloned().ok_or_else(|| dead("client_gone"))?)
            }
            None => None,
        };
        match &client {
            Some(client) => admit(&entry, client, PASSWORD)?,
            None => admit_tenant(&entry.tenant)?,
        }
        standing(&user, now)?;
        if !bool::from(fingerprint(&user).ct_eq(&login.password)) {
            return Err(dead("password_changed"));
        }
        let goal = match (login.goal, client) {
            (PendingGoal::Tokens(_), Some(client)) => Goal::Tokens(Place { view, entry, client }),
            (PendingGoal::Tokens(_), None) => return Err(dead("client_gone")),
            (PendingGoal::Browser { return_to, .. }, client) => {
                Goal::Browser(Visit { entry, client, return_to })
            }
        };
        Ok((goal, user))
    }

    async fn trust_device(&self, work: &mut UnitOfWork, tenant: &Slug, user: UserId) -> Result<SecretString> {
        let token = OpaqueToken::generate_of(Kind::Device, self.0.rng.as_ref(), tenant);
        let now = self.0.clock.now();
        let kept =
            work.trusted_devices().insert(&TokenHash(token.hash()), user, now, now.plus(DEVICE_TTL)).await;
        kept.map_err(|error| refused(&error))?;
        Ok(SecretString::from(token.expose()))
    }
}
