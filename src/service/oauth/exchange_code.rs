//! Redeem an authorization code (RFC 6749 §4.1.3; S09-S12, S30, S31, S35).
//!
//! Whoever redeems a code holds the account's row from the look-up to the commit. So of many at the same moment one finds the
//! code unused, and whatever ends sessions at this moment finds what it yielded. Every way in which a code is worth nothing has
//! the same answer; the reason is in the log.

use hellojohn_control::Timestamp;
use hellojohn_control::documents::GrantType;

use super::redeem::{Tokens, missing};
use super::{OAuthService, Params};
use crate::crypto::pkce::CodeChallenge;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::domain::authorization_code::{AuthorizationCode, Authorizer, CodeUse};
use crate::domain::refresh_token::{FamilyGrant, RevocationReason, TokenHash};
use crate::domain::user::{User, UserStatus};
use crate::service::account::{Opening, PASSWORD, Place, admit};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::tokens::granted;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};
use crate::store::UnitOfWork;

/// How and when somebody was authenticated.
struct Authentication {
    amr: Vec<String>,
    auth_time: Timestamp,
}

impl OAuthService {
    /// Yields the tokens that a code stands for.
    ///
    /// # Errors
    /// `invalid_grant`, `unauthorized_client`, `storage_unavailable`.
    pub(super) async fn exchange_code(
        &self,
        requester: &Requester,
        place: &Place,
        params: &Params,
    ) -> Result<Tokens> {
        let Place { entry, client, .. } = place;
        let text = params.get("code").ok_or_else(|| missing("code"))?;
        let token = OpaqueToken::parse_of(Kind::Code, text).map_err(|_| dead("malformed"))?;
        if !client.grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(Code::UnauthorizedClient.into());
        }
        let hash = TokenHash(token.hash());
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.authorization_codes().find(&hash).await.map_err(|error| refused(&error))?;
        let (code, _) = found.ok_or_else(|| dead("unknown"))?;
        // Somebody else's code stays as it is: it is not this client's to use up.
        if code.client.uuid != client.id {
            return Err(dead("another client's"));
        }
        let user = work.users().find_for_update(code.user_id).await.map_err(|error| refused(&error))?;
        let user = user.ok_or_else(|| dead("account_gone"))?;
        // Read again, and the time after it: whoever waited for the account is judged by what is now.
        let found = work.authorization_codes().find(&hash).await.map_err(|error| refused(&error))?;
        let (code, used) = found.ok_or_else(|| dead("unknown"))?;
        let now = self.0.clock.now();
        let event = Event {
            requester,
            action: Action::RedeemCode,
            outcome: Outcome::Ok,
            tenant: &entry.tenant.slug,
            actor: Some(user.id),
            target: None,
            client_id: Some(client.client_id.as_str()),
        };
        if let CodeUse::Used(yielded) = used {
            return Err(self.used_again(work, &event, yielded, now).await?);
        }
        let authentication = match self.stands(&mut work, place, &code, &user, params, now).await? {
            Ok(authentication) => authentication,
            Err(why) => {
                // A code that somebody tried wrongly is a code that somebody else has seen.
                let spent = work.authorization_codes().use_up(&hash, None, now).await;
                spent.map_err(|error| refused(&error))?;
                let event = Event { outcome: Outcome::Refused(why), ..event };
                self.0.stores.commit_told(work, &[event]).await?;
                return Err(dead(why));
            }
        };
        let opening = Opening {
            amr: authentication.amr,
            auth_time: authentication.auth_time,
            scope: granted(entry, client, &code.scope),
            grant: FamilyGrant::AuthorizationCode,
            browser_session: match code.authorizer {
                Authorizer::Browser(session) => Some(session),
                Authorizer::Family(_) => None,
            },
            resources: code.resources,
        };
        let (family, set) = self.0.accounts.open_family(&mut work, place, &user, opening, now).await?;
        let used = work.authorization_codes().use_up(&hash, Some(family), now).await;
        if !used.map_err(|error| refused(&error))? {
            return Err(Error::internal("a code was used by somebody else under the lock of its account"));
        }
        let event = Event { target: Some(family.0), ..event };
        self.0.stores.commit_told(work, &[event]).await?;
        Ok(Tokens { access: set.access, refresh: set.refresh })
    }

    /// Revokes what the first use of a code has yielded (S30).
    async fn used_again(
        &self,
        mut work: UnitOfWork,
        event: &Event<'_>,
        yielded: Option<crate::domain::refresh_token::FamilyId>,
        now: Timestamp,
    ) -> Result<Error> {
        let Some(family) = yielded else { return Ok(dead("used before")) };
        let revoked = work.refresh_tokens().revoke_family(family, now, RevocationReason::Reuse).await;
        if !revoked.map_err(|error| refused(&error))? {
            return Ok(dead("used before"));
        }
        let outcome = Outcome::Refused("used_before");
        let event = Event { action: Action::CodeReuse, outcome, target: Some(family.0), ..*event };
        self.0.stores.commit_told(work, &[event]).await?;
        Ok(dead("used before; what it yielded was revoked"))
    }

    /// Whether the code is worth anything here and now: the same questions as when it was made, asked again (S35).
    async fn stands(
        &self,
        work: &mut UnitOfWork,
        place: &Place,
        code: &AuthorizationCode,
        user: &User,
        params: &Params,
        now: Timestamp,
    ) -> Result<std::result::Result<Authentication, &'static str>> {
        if now >= code.expires_at {
            return Ok(Err("expired"));
        }
        if let Err(why) = fits(code, params) {
            return Ok(Err(why));
        }
        if let Err(error) = admit(&place.entry, &place.client, PASSWORD) {
            return Ok(Err(error.code().as_str()));
        }
        match user.status {
            UserStatus::Active => {}
            UserStatus::Disabled | UserStatus::Locked => return Ok(Err("account_not_active")),
        }
        Ok(match code.authorizer {
            Authorizer::Browser(session) => {
                let live = work.browser_sessions().find_live(session, now).await;
                let live = live.map_err(|error| refused(&error))?.map(|found| found.session);
                let live = live.filter(|session| session.user_id == user.id);
                live.map(|session| Authentication { amr: session.amr, auth_time: session.auth_time })
            }
            Authorizer::Family(family) => {
                let family =
                    work.refresh_tokens().find_family(family).await.map_err(|error| refused(&error))?;
                let live = family.filter(|family| family.user_id == user.id && family.live_at(now));
                live.map(|family| Authentication { amr: family.amr, auth_time: family.auth_time })
            }
        }
        .ok_or("session_over"))
    }
}

/// Whether the request is the counterpart of the one that the code was made for.
fn fits(code: &AuthorizationCode, params: &Params) -> std::result::Result<(), &'static str> {
    match params.get("redirect_uri") {
        Some(uri) if uri != code.redirect_uri => return Err("redirect_uri_mismatch"),
        None if code.redirect_uri_sent => return Err("redirect_uri_missing"),
        Some(_) | None => {}
    }
    match (code.challenge, params.get("code_verifier")) {
        (None, None) => Ok(()),
        // Somebody who proves what nobody asked for may have been given another's code (S10, RFC 9700 §4.8.2).
        (None, Some(_)) => Err("verifier_without_challenge"),
        (Some(_), None) => Err("verifier_missing"),
        (Some(challenge), Some(verifier)) if CodeChallenge(challenge).is_met_by(verifier) => Ok(()),
        (Some(_), Some(_)) => Err("verifier_mismatch"),
    }
}

fn dead(why: &'static str) -> Error {
    Error::new(Code::InvalidGrant).context(why)
}
