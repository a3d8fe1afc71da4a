//! Mails to people: who gets which one, written into the outbox in the transaction of what it tells of, and sent from there.
//!
//! A request never waits for a mail server. [`Mails`] writes, [`Delivery`] sends. Links begin with `EMAIL_BASE_URL` and
//! nothing else (S70). Must never log a link, except where `EMAIL_DEBUG_LINKS` asks for it under an issuer without https.

mod delivery;
mod letter;

pub use delivery::{Delivery, DeliveryParts};

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::documents::Tenant;
use hellojohn_control::{ClientId, Slug, Timestamp};
use tokio::sync::Notify;
use uuid::Uuid;

use self::letter::Letter;
use super::{Error, Result};
use crate::cluster::Sealing;
use crate::config::Config;
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::domain::email::Email;
use crate::domain::mail::{MailKind, TokenPurpose};
use crate::domain::rng::{self, Rng};
use crate::domain::sender::Line;
use crate::domain::user::{User, UserId};
use crate::mail::Server;
use crate::store::pg::mail_tokens::{NewMail, NewToken};

/// Fewest time between two mails with a link of one purpose to one account; who asks more often gets the same answer and
/// no mail.
pub const COOL_DOWN: Duration = Duration::from_secs(60);
/// How long a notice without a link is worth sending.
const NOTICE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What mails need of the configuration.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// What links begin with (`EMAIL_BASE_URL`).
    pub base_url: String,
    /// `EMAIL_DEBUG_LINKS`.
    pub debug_links: bool,
    /// `AUTH_VERIFY_TTL`.
    pub verify_ttl: Duration,
    /// `AUTH_RESET_TTL`.
    pub reset_ttl: Duration,
    /// The server of tenants that have none of their own (`SMTP_*`).
    pub server: Option<Server>,
}

impl MailSettings {
    /// The settings of `config`.
    pub fn new(config: &Config) -> Self {
        let smtp = &config.smtp;
        let password = smtp.password.as_ref().map(|password| SecretString::from(password.expose()));
        let server = smtp.host.clone().zip(smtp.from.clone()).map(|(host, from)| Server {
            host,
            port: smtp.port,
            login: smtp.username.clone().zip(password),
            from,
            tls: smtp.tls,
        });
        Self {
            base_url: config.email.base_url.as_str().to_owned(),
            debug_links: config.email.debug_links,
            verify_ttl: config.auth.verify_ttl,
            reset_ttl: config.auth.reset_ttl,
            server,
        }
    }
}

/// Who gets a mail.
#[derive(Debug, Clone)]
pub struct Recipient<'a> {
    /// The account; nobody's identifier for somebody who has none, for whom the same work is done (S60).
    pub user: UserId,
    /// The address: the account's own, never the one that a request names (S70).
    pub email: &'a Email,
    /// The person's name.
    pub name: Option<&'a str>,
}

impl<'a> Recipient<'a> {
    /// The account, or nobody at the address that was asked for.
    pub fn of(user: Option<&'a User>, asked: &'a Email) -> Self {
        match user {
            // Whoever has not shown that the address is theirs does not write to its owner through us.
            Some(user) => {
                let name = user.given_name.as_deref().filter(|_| user.email_verified);
                Self { user: user.id, email: &user.email, name }
            }
            None => Self { user: UserId(Uuid::nil()), email: asked, name: None },
        }
    }
}

/// A link that was made and is not in the outbox yet.
pub struct Link<'a> {
    /// For the unit of work.
    pub token: NewToken<'a>,
    text: String,
    kind: MailKind,
}

/// It holds the link.
impl fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Most characters of a user agent in a mail.
const MAX_USER_AGENT: usize = 80;

/// Enough of a user agent to know one's browser by, and nothing to click on: whoever logs in chooses it.
fn shortened(user_agent: &str) -> String {
    user_agent.replace("://", " ").chars().take(MAX_USER_AGENT).collect()
}

/// A login, as the notice of a new device tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub ip: IpAddr,
    /// With what.
    pub user_agent: Option<&'a str>,
}

/// Writes mails into outboxes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mails(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    settings: MailSettings,
    sealing: Sealing,
    rng: Arc<dyn Rng>,
    wake: Arc<Notify>,
    /// Tenants with a database of their own in which something may wait.
    own_databases: Mutex<BTreeSet<Slug>>,
}

impl Mails {
    /// Writes mails by `settings`.
    pub fn new(settings: MailSettings, sealing: Sealing, rng: Arc<dyn Rng>) -> Self {
        let (wake, own_databases) = (Arc::default(), Mutex::default());
        Self(Arc::new(Parts { settings, sealing, rng, wake, own_databases }))
    }

    /// What wakes the delivery: something was written.
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.0.wake)
    }

    /// Whether a server is known for the tenant's mails. Without one nothing is written: it would wait for ever, or come
    /// when nobody expects it any more.
    pub fn has_server(&self, tenant: &Tenant) -> bool {
        tenant.settings.smtp.is_some() || self.0.settings.server.is_some()
    }

    /// A new link of `kind`, for [`crate::store::pg::mail_tokens::MailTokens::issue`].
    ///
    /// # Errors
    /// `internal` for a kind without a link, or when nothing can be sealed.
    pub fn link<'a>(
        &self,
        tenant: &Tenant,
        kind: MailKind,
        to: &Recipient<'a>,
        client_id: Option<&'a ClientId>,
        now: Timestamp,
    ) -> Result<Link<'a>> {
        let Parts { settings, rng, .. } = self.0.as_ref();
        let purpose =
            kind.purpose().ok_or_else(|| Error::internal(format_args!("{} has no link", kind.as_str())))?;
        let (page, life) = match purpose {
            TokenPurpose::Verify => ("verify-email", settings.verify_ttl),
            TokenPurpose::Reset => ("reset", settings.reset_ttl),
        };
        let token = OpaqueToken::generate_of(Kind::Mail, rng.as_ref(), &tenant.slug);
        let expires_at = now.plus(life);
        let text = format!("{}/{page}?token={}", settings.base_url, token.expose());
        let letter = Letter {
            link: Some(text.clone()),
            valid_for: Some(letter::in_words(life)),
            ..Letter::to(to.email, to.name)
        };
        let mail = self.mail(tenant, kind, &letter, expires_at)?;
        let hash = token.hash();
        // A link as young as that is not replaced, and no mail is sent.
        let not_since = Timestamp::from_millis(
            now.millis().saturating_sub(i64::try_from(COOL_DOWN.as_millis()).unwrap_or(i64::MAX)),
        );
        let token = NewToken {
            user: to.user,
            email: to.email,
            purpose,
            hash,
            client_id,
            expires_at,
            not_since,
            mail,
        };
        Ok(Link { token, text, kind })
    }

    /// The notice of a login from a new device; `None` where no server would take it.
    ///
    /// # Errors
    /// `internal` when nothing can be sealed.
    pub fn new_device(
        &self,
        tenant: &Tenant,
        to: &Recipient<'_>,
        login: &Login<'_>,
    ) -> Result<Option<NewMail>> {
        let letter = Letter {
            at: Some(login.at.to_string()),
            ip: Some(login.ip.to_string()),
            user_agent: Some(Line::new(&shortened(login.user_agent.unwrap_or("unknown"))).to_string()),
            ..Letter::to(to.email, to.name)
        };
        self.mail(tenant, MailKind::NewDevice, &letter, login.at.plus(NOTICE_LIFE))
    }

    fn mail(
        &self,
        tenant: &Tenant,
        kind: MailKind,
        letter: &Letter,
        expires_at: Timestamp,
    ) -> Result<Option<NewMail>> {
        let id = rng::uuid(self.0.rng.as_ref());
        let bytes = letter.encode().map_err(Error::internal)?;
        // Also where nothing will be sent: who has an account and who has none costs the same.
        let sealed = self.0.sealing.seal_mail(&tenant.slug, id, &bytes).map_err(Error::internal)?;
        Ok(self.has_server(tenant).then_some(NewMail { id, kind, sealed, expires_at }))
    }

    /// After the commit of a link that was issued.
    pub fn issued(&self, tenant: &Tenant, link: &Link<'_>) {
        if self.0.settings.debug_links {
            tracing::warn!(
                tenant = tenant.slug.as_str(),
                kind = link.kind.as_str(),
                link = link.text,
                "EMAIL_DEBUG_LINKS"
            );
        }
        self.written(tenant, link.kind, link.token.mail.is_some());
    }

    /// After the commit of a mail.
    pub fn written(&self, tenant: &Tenant, kind: MailKind, queued: bool) {
        if !queued {
            count(kind, "no_server");
            return;
        }
        count(kind, "queued");
        if tenant.settings.user_store.is_some() {
            self.look_at(tenant.slug.clone());
        }
        self.0.wake.notify_one();
    }

    /// Has the delivery look into the tenant's own database.
    fn look_at(&self, tenant: Slug) {
        self.0.own_databases.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
    }

    /// The tenants whose own databases shall be looked into.
    fn to_look_at(&self) -> BTreeSet<Slug> {
        self.0.own_databases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has it looked into no more, until something is written there.
    fn forget(&self, tenant: &Slug) {
        self.0.own_databases.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}

/// Counts what became of a mail.
fn count(kind: MailKind, outcome: &'static str) {
    metrics::counter!("hellojohn_mail_total", "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}
