//! Ask for a mail with a link: verify an address (EP050), forgot the password (EP052).
//!
//! The answer and its time are the same whether the address has an account or not (S60). The mail goes to the account's own
//! address, and no more than one a minute and purpose.

use hellojohn_control::documents::{Tenant, TenantStatus};
use hellojohn_control::{ClientId, Slug};

use super::AccountService;
use super::even::in_even_time;
use super::fields::Findings;
use crate::domain::email::Email;
use crate::domain::mail::MailKind;
use crate::domain::user::User;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::person_of;
use crate::service::limits::{Account, Pool};
use crate::service::mail::Recipient;
use crate::service::principal::UserAuthorizer as _;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};
use crate::store::UnitOfWork;

/// Who asks for a mail with a link.
#[derive(Debug, Clone)]
pub struct LinkRequest {
    /// Where.
    pub tenant: Slug,
    /// Through which client; it is the one that a reset with `AUTH_RESET_AUTO_LOGIN` logs in to.
    pub client_id: Option<ClientId>,
    /// Address.
    pub email: String,
}

impl AccountService {
    /// Has a link mailed that sets a new password, if there is such an account (EP052).
    ///
    /// # Errors
    /// `tenant_not_found`, `tenant_suspended`; with a client `client_not_found`, `client_disabled`, `provider_not_allowed`;
    /// `validation_failed` for what is no address; `too_many_requests`; `storage_unavailable`.
    pub async fn forgot(&self, requester: &Requester, asked: &LinkRequest) -> Result<()> {
        self.mail_link(requester, asked, MailKind::Reset, Action::Forgot).await
    }

    /// Has a link mailed that verifies the address, if there is such an account and it is not verified yet (EP050).
    ///
    /// # Errors
    /// As [`Self::forgot`].
    pub async fn start_verification(&self, requester: &Requester, asked: &LinkRequest) -> Result<()> {
        self.mail_link(requester, asked, MailKind::Verify, Action::StartVerification).await
    }

    /// As [`Self::start_verification`], for the account that an access token speaks for.
    ///
    /// # Errors
    /// `invalid_token`; `too_many_requests`; `storage_unavailable`.
    pub async fn start_own_verification(&self, requester: &Requester, bearer: &str) -> Result<()> {
        let person = person_of(&self.0.authenticator.authenticate(bearer).await?)?;
        let account = Account::User(&person.tenant, person.user);
        self.0.limits.spend(Pool::Verify, requester.ip, Some(account)).await?;
        let view = self.0.plane.view();
        let tenant = &view.tenant(&person.tenant).ok_or(Code::InvalidToken)?.tenant;
        let mut work = self.0.stores.begin(tenant).await?;
        let user = work.users().find_by_id(person.user).await.map_err(|error| refused(&error))?;
        let user = user.ok_or(Code::InvalidToken)?;
        let (kind, action) = (MailKind::Verify, Action::StartVerification);
        self.issue(requester, work, tenant, None, Some(&user), &user.email, kind, action).await
    }

    async fn mail_link(
        &self,
        requester: &Requester,
        asked: &LinkRequest,
        kind: MailKind,
        action: Action,
    ) -> Result<()> {
        let entry = match &asked.client_id {
            Some(client_id) => self.place(&asked.tenant, client_id)?.entry,
            None => self.0.plane.view().tenant(&asked.tenant).cloned().ok_or(Code::TenantNotFound)?,
        };
        admit_tenant(&entry.tenant)?;
        let mut findings = Findings::default();
        let email = findings.email(&asked.email);
        findings.into_result()?;
        let email = email.ok_or_else(|| Error::internal("a bad address was not found"))?;
        self.0.limits.spend(pool_of(kind), requester.ip, Some(Account::Email(&asked.tenant, &email))).await?;
        // For an account a mail is sealed and written, which takes a while longer.
        in_even_time(async {
            let mut work = self.0.stores.begin(&entry.tenant).await?;
            let user = work.users().find_by_email(&email).await.map_err(|error| refused(&error))?;
            let client_id = asked.client_id.as_ref();
            self.issue(requester, work, &entry.tenant, client_id, user.as_ref(), &email, kind, action).await
        })
        .await
    }

    /// Issues the link, and records what became of it. For nobody the same statement finds no row, and neither commit waits
    /// for the disk, for only one of them would have to (S60): a power failure can cost a mail, and the person asks again.
    #[expect(clippy::too_many_arguments, reason = "two callers share all of it")]
    async fn issue(
        &self,
        requester: &Requester,
        mut work: UnitOfWork,
        tenant: &Tenant,
        client_id: Option<&ClientId>,
        user: Option<&User>,
        email: &Email,
        kind: MailKind,
        action: Action,
    ) -> Result<()> {
        let now = self.0.clock.now();
        let link = self.0.mails.link(tenant, kind, &Recipient::of(user, email), client_id, now)?;
        let issued = work.mail_tokens().issue(&link.token, now).await.map_err(|error| refused(&error))?;
        let outcome = match (issued, user) {
            (true, _) => Outcome::Ok,
            (false, Some(_)) => Outcome::Refused("not_now"),
            (false, None) => Outcome::Refused("unknown_user"),
        };
        let event = Event {
            requester,
            action,
            outcome,
            tenant: &tenant.slug,
            actor: None,
            target: user.map(|user| user.id.0),
            client_id: client_id.map(ClientId::as_str),
        };
        self.0.stores.commit_told_without_waiting_for_disk(work, &[event]).await?;
        if issued {
            self.0.mails.issued(tenant, &link);
        }
        Ok(())
    }
}

/// What a mail with a link counts for.
fn pool_of(kind: MailKind) -> Pool {
    match kind {
        MailKind::Reset => Pool::Forgot,
        MailKind::Verify | MailKind::Registered | MailKind::NewDevice => Pool::Verify,
    }
}

/// # Errors
/// `tenant_suspended`.
pub(super) fn admit_tenant(tenant: &Tenant) -> Result<()> {
    match tenant.status {
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended => Err(Code::TenantSuspended.into()),
    }
}
