//! Sessions of browsers: log in with a cookie, log out, and who sits at the browser (EP020-1; S77, S78, S80).
//!
//! A login is the same as any other (`login`), only what it starts is another thing. Every login makes a new session; a
//! cookie that comes with one is never taken over, and its session ends.

use hellojohn_control::{ClientId, Slug, TenantEntry, Timestamp};

use super::AccountService;
use super::login::{Credentials, LoggedIn};
use super::mail_link::admit_tenant;
use super::place::{Goal, PASSWORD, Visit, admit, ref_of};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::domain::browser_session::BrowserSession;
use crate::domain::refresh_token::{FamilyId, RevocationReason, TokenHash};
use crate::domain::return_to::ReturnTo;
use crate::domain::rng;
use crate::domain::user::{User, UserStatus};
use crate::service::Result;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::user_store::refused;
use crate::store::UnitOfWork;

/// Milliseconds after a use that was noted in which others are not, so that reading does not write each time.
const NOTED_EVERY_MILLIS: i64 = 60_000;

/// What ends with the session of a browser.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// It alone.
    Alone,
    /// What clients were granted in it, too, unless it was for longer.
    WithItsGrants,
}

/// What somebody who logs in at a browser says.
#[derive(Debug, Clone)]
pub struct BrowserLogin {
    /// Who.
    pub credentials: Credentials,
    /// Through which client; without one the session is the tenant's alone.
    pub client_id: Option<ClientId>,
    /// Where to go then.
    pub return_to: Option<ReturnTo>,
    /// The cookie of a session that came with it, as sent.
    pub cookie: Option<SecretString>,
}

/// A browser session that was just started.
#[derive(Debug)]
pub struct BrowserStart {
    /// What the cookie has to hold.
    pub cookie: SecretString,
    /// Where its owner wanted to go.
    pub return_to: Option<ReturnTo>,
}

impl AccountService {
    /// Starts the session of a browser, or the second half of the login where the account has a second factor.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub async fn log_in_browser(&self, requester: &Requester, login: &BrowserLogin) -> Result<LoggedIn> {
        let tenant = &login.credentials.tenant;
        let visit = self.visit(tenant, login.client_id.as_ref(), login.return_to.clone())?;
        let reached = self.attempt(requester, &Goal::Browser(visit), &login.credentials).await?;
        if matches!(reached, LoggedIn::Session(_)) {
            self.leave_behind(requester, login.cookie.as_ref()).await;
        }
        Ok(reached)
    }

    /// Ends the session that the cookie stands for, and with it what clients were granted in it for no longer. A cookie that is
    /// none of ours, or whose session is over, is passed over: there is nothing left to end.
    ///
    /// # Errors
    /// `storage_unavailable`: nothing was ended, and saying otherwise would be a lie.
    pub async fn leave(&self, requester: &Requester, cookie: Option<&SecretString>) -> Result<()> {
        self.end(requester, cookie, Ends::WithItsGrants).await
    }

    async fn end(&self, requester: &Requester, cookie: Option<&SecretString>, ends: Ends) -> Result<()> {
        let Some(token) = cookie.and_then(token_of) else { return Ok(()) };
        let view = self.0.plane.view();
        let Some(entry) = view.tenant(token.tenant()) else { return Ok(()) };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let (hash, now) = (TokenHash(token.hash()), self.0.clock.now());
        match ends {
            Ends::WithItsGrants => {
                let found =
                    work.browser_sessions().find(&hash, now).await.map_err(|error| refused(&error))?;
                let Some(session) = found.map(|found| found.session) else { return Ok(()) };
                // Whoever redeems a code of this session holds the account, and is through or comes too late.
                work.users().find_for_update(session.user_id).await.map_err(|error| refused(&error))?;
                let reason = RevocationReason::Logout;
                let revoked = work.refresh_tokens().revoke_of_browser_session(session.id, now, reason).await;
                revoked.map_err(|error| refused(&error))?;
            }
            Ends::Alone => {}
        }
        let ended = work.browser_sessions().end(&hash, now, RevocationReason::Logout).await;
        let ended = ended.map_err(|error| refused(&error))?;
        if let Some((session, user)) = ended {
            let event = Event {
                requester,
                action: Action::Logout,
                outcome: Outcome::Ok,
                tenant: &entry.tenant.slug,
                actor: Some(user),
                target: Some(session.0),
                client_id: None,
            };
            self.0.stores.commit_told(work, &[event]).await?;
        }
        Ok(())
    }

    /// Ends the session of a cookie that another one takes the place of; what was granted in it goes on, because nobody has logged
    /// out. Its tenant may be another one, and that one's database
    /// away: that keeps nobody from the session that has begun, and without its cookie the old one ends by itself.
    pub(super) async fn leave_behind(&self, requester: &Requester, cookie: Option<&SecretString>) {
        if let Err(error) = self.end(requester, cookie, Ends::Alone).await {
            tracing::warn!(?error, "the browser session before a login was not ended");
        }
    }

    /// The session that a cookie stands for, if it is live now: neither ended nor too old, of an active account, of a tenant
    /// and a client where people may log in (S80). Notes the use.
    ///
    /// # Errors
    /// `storage_unavailable`: the caller must take it for none.
    pub async fn session_of(&self, cookie: &SecretString) -> Result<Option<BrowserSession>> {
        let Some(token) = token_of(cookie) else { return Ok(None) };
        let view = self.0.plane.view();
        let Some(entry) = view.tenant(token.tenant()) else { return Ok(None) };
        let now = self.0.clock.now();
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.browser_sessions().find(&TokenHash(token.hash()), now).await;
        let found = found.map_err(|error| refused(&error))?;
        let live = found.filter(|found| match found.status {
            UserStatus::Active => stands(entry, &found.session),
            UserStatus::Disabled | UserStatus::Locked => false,
        });
        let Some(session) = live.map(|found| found.session) else { return Ok(None) };
        let noted_before = Timestamp::from_millis(now.millis().saturating_sub(NOTED_EVERY_MILLIS));
        let touched = work.browser_sessions().touch(session.id, now, noted_before).await;
        touched.map_err(|error| refused(&error))?;
        // A time that is lost with a power failure is no loss.
        work.commit_without_waiting_for_disk().await.map_err(|error| refused(&error))?;
        Ok(Some(session))
    }

    /// Who sits at the browser of a cookie, and in which tenant, if its session is live.
    ///
    /// # Errors
    /// `storage_unavailable`.
    pub async fn person_at(&self, cookie: &SecretString) -> Result<Option<(Slug, User)>> {
        let Some(session) = self.session_of(cookie).await? else { return Ok(None) };
        let view = self.0.plane.view();
        let Some(entry) = view.tenant(&session.tenant) else { return Ok(None) };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = work.users().find_by_id(session.user_id).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(user.map(|user| (session.tenant, user)))
    }

    /// Starts a session of `user`, who was authenticated as `amr` says. Nothing is kept unless `work` is committed.
    pub(super) async fn start_browser_session(
        &self,
        work: &mut UnitOfWork,
        visit: &Visit,
        user: &User,
        amr: Vec<String>,
        now: Timestamp,
    ) -> Result<BrowserStart> {
        let rng = self.0.rng.as_ref();
        let tenant = &visit.entry.tenant.slug;
        let token = OpaqueToken::generate_of(Kind::Browser, rng, tenant);
        let session = BrowserSession {
            id: FamilyId(rng::uuid(rng)),
            tenant: tenant.clone(),
            user_id: user.id,
            client: visit.client.as_deref().map(ref_of),
            amr,
            auth_time: now,
            created_at: now,
            expires_at: now.plus(self.0.settings.session_ttl),
        };
        let kept = work.browser_sessions().insert(&TokenHash(token.hash()), &session).await;
        kept.map_err(|error| refused(&error))?;
        Ok(BrowserStart { cookie: SecretString::from(token.expose()), return_to: visit.return_to.clone() })
    }
}

fn token_of(cookie: &SecretString) -> Option<OpaqueToken> {
    OpaqueToken::parse_of(Kind::Browser, cookie.expose()).ok()
}

/// Whether people may still log in where the session was started.
fn stands(entry: &TenantEntry, session: &BrowserSession) -> bool {
    match &session.client {
        None => admit_tenant(&entry.tenant).is_ok(),
        Some(known) => {
            let client = entry.clients.get(&known.client_id).filter(|client| client.id == known.uuid);
            client.is_some_and(|client| admit(entry, client, PASSWORD).is_ok())
        }
    }
}
