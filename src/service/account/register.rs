//! Register (EP001): a new account in a tenant.

use hellojohn_control::{ClientId, Slug};

use super::fields::{Findings, policy_of};
use super::place::Place;
use super::session::password_alone;
use super::{AccountService, password, unhashed};
use crate::crypto::secret::SecretString;
use crate::domain::mail::MailKind;
use crate::domain::rng;
use crate::domain::user::{PasswordHash, User, UserId};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::limits::{Account, Pool};
use crate::service::mail::Recipient;
use crate::service::tokens::TokenSet;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};

/// What somebody who registers says. There is no field for anything that is not theirs to decide (S102).
#[derive(Debug, Clone)]
pub struct Registration {
    /// Where.
    pub tenant: Slug,
    /// Through which client.
    pub client_id: ClientId,
    /// Address.
    pub email: String,
    /// Password as typed.
    pub password: SecretString,
    /// OpenID Connect Core §5.1.
    pub given_name: Option<String>,
    /// OpenID Connect Core §5.1.
    pub family_name: Option<String>,
    /// Whether it is a page of ours that asks, which needs no tokens: it starts a session of the browser.
    pub by_page: bool,
}

/// How a registration ended.
#[derive(Debug)]
pub enum Registered {
    /// There is a new account.
    Made(Box<NewAccount>),
    /// Whether there is, a mail tells (`REGISTER_ENUMERATION_SAFE`).
    ToldByMail,
}

/// A new account.
#[derive(Debug)]
pub struct NewAccount {
    /// The account.
    pub user: User,
    /// Its first session, where `REGISTER_AUTO_LOGIN` is set.
    pub tokens: Option<TokenSet>,
}

impl AccountService {
    /// Makes an account.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, `tenant_suspended`, `client_disabled`, `provider_not_allowed`;
    /// `invalid_parameter` for a password over 1,024 bytes; `validation_failed` with every rule that is broken;
    /// `email_taken`, unless `REGISTER_ENUMERATION_SAFE` leaves it to a mail; `too_many_requests`; `busy`; `storage_unavailable`.
    pub async fn register(&self, requester: &Requester, input: &Registration) -> Result<Registered> {
        let place = self.place(&input.tenant, &input.client_id)?;
        let password = password(&input.password)?;
        let policy =
            policy_of(&self.0.settings.password_policy, place.entry.tenant.settings.password_policy.as_ref());
        let mut findings = Findings::default();
        let email = findings.email(&input.email);
        findings.new_password(
            "password",
            &password,
            &input.email,
            &place.entry.tenant,
            &policy,
            &self.0.settings,
        );
        let given_name = findings.name("given_name", input.given_name.as_deref());
        let family_name = findings.name("family_name", input.family_name.as_deref());
        findings.into_result()?;
        let email = email.ok_or_else(|| Error::internal("a bad address was not found"))?;

        // Each costs a hash and tells whether an address is taken.
        self.0.limits.spend(Pool::Register, requester.ip, None).await?;
        if self.0.settings.enumeration_safe {
            // Each sends a mail to whoever owns the address, of the kind that `forgot` sends where there is an account. Counted for
            // the address that was named, before anybody is looked for, so that the answer tells nothing (S60).
            let account = Account::Email(&input.tenant, &email);
            self.0.limits.spend(Pool::Forgot, requester.ip, Some(account)).await?;
        }
        let hash = self.0.hashes.hash(password).await.map_err(|error| unhashed(&error))?;
        let now = self.0.clock.now();
        let id = UserId(rng::uuid(self.0.rng.as_ref()));
        let user =
            User { given_name, family_name, ..User::new(id, email, Some(PasswordHash::new(hash)), now) };

        if self.0.settings.enumeration_safe {
            return self.register_quietly(requester, input, &place, &user).await;
        }
        let tenant = &place.entry.tenant;
        let mut work = self.0.stores.begin(tenant).await?;
        let event = Event {
            requester,
            action: Action::Register,
            outcome: Outcome::Ok,
            tenant: &input.tenant,
            actor: Some(user.id),
            target: Some(user.id.0),
            client_id: Some(input.client_id.as_str()),
        };
        if let Err(error) = work.users().insert(&user).await {
            work.rollback();
            let event = Event { actor: None, target: None, ..event };
            return self.0.stores.judged(&event, Err(refused(&error))).await;
        }
        let to = Recipient::of(Some(&user), &user.email);
        let link = self.0.mails.link(tenant, MailKind::Verify, &to, Some(&input.client_id), now)?;
        let issued = work.mail_tokens().issue(&link.token, now).await.map_err(|error| refused(&error))?;
        let mut events = vec![event];
        let tokens = if self.0.settings.auto_login && !input.by_page {
            events.push(Event { action: Action::Login, target: None, ..event });
            Some(self.start_session(&mut work, &place, &user, password_alone(), now).await?.1)
        } else {
            None
        };
        self.0.stores.commit_told(work, &events).await?;
        if issued {
            self.0.mails.issued(tenant, &link);
        }
        Ok(Registered::Made(Box::new(NewAccount { user, tokens })))
    }

    /// A registration of which the answer tells nothing: whoever owns the address learns by mail whether there is a new account
    /// or was one before. The same statements run in both cases, and both commits wait for the disk (S60).
    async fn register_quietly(
        &self,
        requester: &Requester,
        input: &Registration,
        place: &Place,
        new: &User,
    ) -> Result<Registered> {
        let (tenant, now) = (&place.entry.tenant, new.created_at);
        let mut work = self.0.stores.begin(tenant).await?;
        let made = work.users().insert_unless_taken(new).await.map_err(|error| refused(&error))?;
        let user = work.users().find_by_email(&new.email).await.map_err(|error| refused(&error))?;
        let kind = if made { MailKind::Verify } else { MailKind::Registered };
        let to = Recipient::of(user.as_ref(), &new.email);
        let link = self.0.mails.link(tenant, kind, &to, Some(&input.client_id), now)?;
        let issued = work.mail_tokens().issue(&link.token, now).await.map_err(|error| refused(&error))?;
        let event = Event {
            requester,
            action: Action::Register,
            outcome: if made { Outcome::Ok } else { Outcome::Refused(Code::EmailTaken.as_str()) },
            tenant: &input.tenant,
            actor: made.then_some(new.id),
            target: made.then_some(new.id.0),
            client_id: Some(input.client_id.as_str()),
        };
        self.0.stores.commit_told(work, &[event]).await?;
        if issued {
            self.0.mails.issued(tenant, &link);
        }
        Ok(Registered::ToldByMail)
    }
}
