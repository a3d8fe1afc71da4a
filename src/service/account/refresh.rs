//! Exchange a refresh token for its successor (EP004, spec §13.11; S24, S32-S35).
//!
//! The family and the token are locked from the look-up to the commit, so of many that present one token at the
//! same moment one rotates and the others see its outcome. Every way in which a token is dead has the same
//! answer; the reason is in the log.

use hellojohn_control::documents::{Client, ClientType};
use hellojohn_control::{ClientId, ScopeName, Slug, TenantEntry, Timestamp};
use uuid::Uuid;

use super::place::{PASSWORD, admit};
use super::session::{AMR_PASSWORD, may_refresh};
use super::{AccountService, REFRESH_OVERLAP};
use crate::crypto::overlap::{open_successor, seal_successor};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::OpaqueToken;
use crate::domain::refresh_token::{FamilyGrant, Overlap, RevocationReason, TokenFamily, TokenHash};
use crate::domain::user::{User, UserStatus};
use crate::service::audit::{Action, Event, Outcome, Requester, Told as _};
use crate::service::tokens::{Grant, TokenSet, granted};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};
use crate::store::UnitOfWork;
use crate::store::pg::refresh_tokens::Presented;

/// The scope that asks for a refresh token that outlives the session (OpenID Connect Core §11).
const OFFLINE: &str = "offline_access";

/// A refresh token and what its holder says about it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The token as sent.
    pub token: SecretString,
    /// The tenant that it must be of, where given.
    pub tenant: Option<Slug>,
    /// The client that it must be for, where given.
    pub client_id: Option<ClientId>,
    /// What the client has proven and asks for besides, at the token endpoint.
    pub at_token_endpoint: Option<Redemption>,
}

/// What a client says that redeems a refresh token at the token endpoint (RFC 6749 §6).
#[derive(Debug, Clone)]
pub struct Redemption {
    /// Its document, as it has proven itself.
    pub client_uuid: Uuid,
    /// The part of the scope that the access token is to have; all of it unless given.
    pub scope: Option<Vec<ScopeName>>,
    /// The part of the resources that it is to be for (RFC 8707 §2.2); all of them unless given.
    pub resources: Vec<String>,
}

/// Why a token is dead: for the log, never for the answer.
type Dead = &'static str;

/// One exchange: who presents what, and when.
struct Case<'a> {
    entry: &'a TenantEntry,
    token: &'a OpaqueToken,
    presented: &'a Presented,
    now: Timestamp,
}

/// What the rows of a token say should happen.
enum Verdict {
    /// Its first use.
    Rotate,
    /// Its successor was not used yet and the overlap lasts: the same one again, with what it grants.
    Repeat(OpaqueToken, Vec<ScopeName>),
    /// It was used before: revoke the family.
    Reused,
    /// It is of no use any more.
    Dead(Dead),
}

/// Whom a live token speaks for.
struct Holder<'a> {
    client: &'a Client,
    user: User,
}

impl AccountService {
    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// `invalid_refresh_token` for every token that is not live here and now; `storage_unavailable`.
    pub async fn refresh(&self, requester: &Requester, exchange: &Exchange) -> Result<TokenSet> {
        let token = OpaqueToken::parse(exchange.token.expose()).map_err(|_| dead("malformed"))?;
        if exchange.tenant.as_ref().is_some_and(|tenant| tenant != token.tenant()) {
            return Err(dead("another tenant was named"));
        }
        let view = self.0.plane.view();
        let entry = view.tenant(token.tenant()).ok_or_else(|| dead("unknown tenant"))?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.refresh_tokens().find_by_hash_for_update(&TokenHash(token.hash())).await;
        let presented = found.map_err(|error| refused(&error))?.ok_or_else(|| dead("unknown token"))?;
        // Read when the locks are held: whoever waited for them is judged by the time after the wait.
        let now = self.0.clock.now();
        let case = Case { entry, token: &token, presented: &presented, now };
        let event = Event {
            requester,
            action: Action::Refresh,
            outcome: Outcome::Ok,
            tenant: token.tenant(),
            actor: Some(presented.family.user_id),
            target: Some(presented.family.id.0),
            client_id: Some(presented.family.client_id.as_str()),
        };
        let repeated = match self.judge(&mut work, &case).await? {
            Verdict::Rotate => None,
            Verdict::Repeat(successor, scope) => Some((successor, scope)),
            Verdict::Reused => {
                let id = presented.family.id;
                let revoked = work.refresh_tokens().revoke_family(id, now, RevocationReason::Reuse).await;
                revoked.map_err(|error| refused(&error))?;
                let outcome = Outcome::Refused("used_before");
                let event = Event { action: Action::TokenReuse, outcome, ..event };
                self.0.stores.commit_told(work, &[event]).await?;
                return Err(dead("used before; its family was revoked"));
            }
            Verdict::Dead(why) => return Err(refuse(&event, why)),
        };
        let holder = match self.holder(&mut work, exchange, &case).await? {
            Ok(holder) => holder,
            Err(why) => return Err(refuse(&event, why)),
        };
        let (successor, scope) = match repeated {
            Some((successor, scope)) => (successor, granted(entry, holder.client, &scope)),
            None => self.rotate(&mut work, &case, &holder).await?,
        };
        let Holder { client, user } = &holder;
        let redemption = exchange.at_token_endpoint.as_ref();
        let wanted = redemption.and_then(|redemption| redemption.scope.as_deref());
        let (family, access_scope) = (&presented.family, narrowed(&scope, wanted)?);
        let resources = redeemed(family, redemption)?;
        let family = &TokenFamily { resources, ..family.clone() };
        let authority = self.authority(&mut work, entry, user.id, &access_scope).await?;
        let scope = &access_scope;
        let grant = Grant { view: &view, entry, client, user, family, scope, authority: &authority };
        let access = self.0.tokens.access(&grant, now)?;
        self.0.stores.commit_told(work, &[event]).await?;
        Ok(TokenSet { access, refresh: Some(SecretString::from(successor.expose())) })
    }

    /// Judges a token by its own row and its family's.
    async fn judge(&self, work: &mut UnitOfWork, case: &Case<'_>) -> Result<Verdict> {
        let Presented { token: row, family } = case.presented;
        if !family.live_at(case.now) {
            return Ok(Verdict::Dead(if family.revoked.is_some() { "revoked" } else { "session_expired" }));
        }
        let Some(successor) = row.replaced_by else {
            return Ok(if row.unused_at(case.now) { Verdict::Rotate } else { Verdict::Dead("expired") });
        };
        let Some(overlap) = row.overlap_at(case.now) else { return Ok(Verdict::Reused) };
        let successor = work.refresh_tokens().find(successor).await.map_err(|error| refused(&error))?;
        let unused = successor.filter(|successor| successor.unused_at(case.now));
        let opened = unused.and_then(|row| Some((open_successor(case.token, &overlap.sealed)?, row.scope)));
        Ok(opened.map_or(Verdict::Reused, |(token, scope)| Verdict::Repeat(token, scope)))
    }

    /// The same questions as at the login, asked again (S35): tenant, client document, way of logging in, account.
    async fn holder<'a>(
        &self,
        work: &mut UnitOfWork,
        exchange: &Exchange,
        case: &Case<'a>,
    ) -> Result<std::result::Result<Holder<'a>, Dead>> {
        let (entry, Presented { token: row, family }) = (case.entry, case.presented);
        if exchange.client_id.as_ref().is_some_and(|client_id| *client_id != family.client_id) {
            return Ok(Err("another_client_named"));
        }
        // A client that was deleted and made again is another one (spec §4).
        let client = entry.clients.get(&family.client_id).filter(|client| client.id == family.client_uuid);
        let Some(client) = client else { return Ok(Err("client_gone")) };
        if let Err(why) = proven(family, client, exchange.at_token_endpoint.as_ref()) {
            return Ok(Err(why));
        }
        if !family.amr.iter().any(|amr| amr == AMR_PASSWORD) {
            return Ok(Err("unknown_provider"));
        }
        if let Err(error) = admit(entry, client, PASSWORD) {
            return Ok(Err(error.code().as_str()));
        }
        let lost_offline =
            |had: &ScopeName| had.as_str() == OFFLINE && granted(entry, client, [had]).is_empty();
        if !may_refresh(client) || row.scope.iter().any(lost_offline) {
            return Ok(Err("grant_removed"));
        }
        let user = work.users().find_by_id(family.user_id).await.map_err(|error| refused(&error))?;
        // A hold after failed logins is no reason: anybody could log anybody out (S61).
        Ok(match user {
            Some(user) if user.status == UserStatus::Active => Ok(Holder { client, user }),
            Some(_) => Err("account_not_active"),
            None => Err("account_gone"),
        })
    }

    /// Makes the successor and keeps it, sealed, for the overlap.
    async fn rotate(
        &self,
        work: &mut UnitOfWork,
        case: &Case<'_>,
        holder: &Holder<'_>,
    ) -> Result<(OpaqueToken, Vec<ScopeName>)> {
        let Presented { token: row, family } = case.presented;
        // Never more than before, and less when the client lost a scope (S24). The successor carries what is
        // left: a scope that comes back to the client does not come back to this session.
        let scope = granted(case.entry, holder.client, &row.scope);
        let (successor, successor_row) = self.new_refresh_token(family, scope.clone(), case.now);
        let sealed = seal_successor(self.0.rng.as_ref(), case.token, &successor).map_err(Error::internal)?;
        let overlap = Overlap { sealed, until: case.now.plus(REFRESH_OVERLAP) };
        let mut tokens = work.refresh_tokens();
        tokens.insert(&successor_row).await.map_err(|error| refused(&error))?;
        let marked = tokens.mark_used_with_successor(row.id, successor_row.id, &overlap, case.now).await;
        marked.map_err(|error| refused(&error))?;
        Ok((successor, scope))
    }
}

/// Whether the client has shown what this family asks of it. What it got for its proof it gets again for its proof only (S33).
fn proven(
    family: &TokenFamily,
    client: &Client,
    redemption: Option<&Redemption>,
) -> std::result::Result<(), Dead> {
    match redemption {
        Some(redemption) if redemption.client_uuid != client.id => Err("another_client"),
        Some(_) => Ok(()),
        None => match (family.grant, client.client_type) {
            (FamilyGrant::AuthorizationCode, ClientType::Confidential) => Err("client_not_authenticated"),
            (FamilyGrant::AuthorizationCode, ClientType::Public) | (FamilyGrant::Login, _) => Ok(()),
        },
    }
}

/// The part of the scope that is asked for; never more than there is (S24, RFC 6749 §6).
fn narrowed(scope: &[ScopeName], wanted: Option<&[ScopeName]>) -> Result<Vec<ScopeName>> {
    let Some(wanted) = wanted else { return Ok(scope.to_vec()) };
    match wanted.iter().find(|wanted| !scope.contains(wanted)) {
        None => Ok(scope.iter().filter(|scope| wanted.contains(scope)).cloned().collect()),
        Some(more) => {
            Err(Error::new(Code::InvalidScope).detail(format!("{more} is not in what was granted")))
        }
    }
}

/// The part of the family's resources that is asked for (RFC 8707 §2.2).
fn redeemed(family: &TokenFamily, redemption: Option<&Redemption>) -> Result<Vec<String>> {
    let wanted = redemption.map(|redemption| redemption.resources.as_slice()).unwrap_or_default();
    if wanted.is_empty() {
        return Ok(family.resources.clone());
    }
    match wanted.iter().all(|wanted| family.resources.contains(wanted)) {
        true => Ok(wanted.to_vec()),
        false => Err(Error::new(Code::InvalidTarget).detail("a resource is not in what was granted")),
    }
}

/// A line and no row: nothing is counted, so whoever has a dead token could write as many as they like.
fn refuse(event: &Event<'_>, why: Dead) -> Error {
    event.ended(Outcome::Refused(why)).tell();
    dead(why)
}

fn dead(why: Dead) -> Error {
    Error::new(Code::InvalidRefreshToken).context(why)
}
