//! Lets a client in, with the person's consent (EP030, RFC 6749 §4.1; OpenID Connect Core §3.1.2).
//!
//! First the client and its address are proven; until then every error is the person's to see and goes nowhere else (S04). From
//! then on every answer goes to that address, with the issuer (RFC 9207) and the state as it came.
//!
//! Whoever must log in or consent comes back to the same request, with a mark of when it was begun: that tells a login which was
//! asked for from one that happened before (`prompt=login`). Nothing of the request is kept here, so strangers fill no table.

use hellojohn_control::documents::{Client, ResponseMode};
use hellojohn_control::{ClientId, Slug, Timestamp};
use url::form_urlencoded;

use super::decision::AskConsent;
use super::request::{Prompt, Request, bad};
use super::{Back, Decision, LogIn, OAuthService, Params, Whereabouts};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::domain::authorization_code::{AuthorizationCode, Authorizer, CODE_LIFE};
use crate::domain::refresh_token::TokenHash;
use crate::domain::return_to::ReturnTo;
use crate::domain::user::{User, UserId, UserStatus};
use crate::service::account::{PASSWORD, Place, admit, ref_of};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::person_of;
use crate::service::principal::UserAuthorizer as _;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};

/// The parameter with the mark of the beginning.
pub(super) const BEGUN: &str = "hj_begun";
/// For how long somebody may take to log in.
const PATIENCE_MILLIS: i64 = 60 * 60 * 1000;

/// An authorization request, and who brings it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Where it comes from.
    pub requester: &'a Requester,
    /// `/t/{slug}/…`.
    pub path: Option<Slug>,
    /// What it says.
    pub params: &'a Params,
    /// The cookie of the browser's session, as sent.
    pub cookie: Option<SecretString>,
    /// An access token, as sent; of use only where the node takes them for sessions.
    pub bearer: Option<SecretString>,
    /// What the person has answered, if they were asked for their consent just now.
    pub answered: Option<bool>,
}

/// Who sits at the browser, and how that is known.
struct Seated {
    user: UserId,
    authorizer: Authorizer,
    auth_time: Timestamp,
    amr: Vec<String>,
}

/// A proven client with a proven address.
struct Proven {
    place: Place,
    redirect_uri: String,
    redirect_uri_sent: bool,
    state: Option<String>,
    mode: ResponseMode,
    issuer: String,
}

impl OAuthService {
    /// Judges an authorization request.
    ///
    /// # Errors
    /// Before the client's address is proven: `client_not_found`, `client_disabled`, `tenant_not_found`, `tenant_suspended`,
    /// `invalid_parameter`. Everything later is in the answer to the client.
    pub async fn authorize(&self, asked: &Asked<'_>) -> Result<Decision> {
        let proven = self.proven(asked)?;
        let decided = self.decide(asked, &proven).await;
        Ok(decided.unwrap_or_else(|error| Decision::Refused(proven.back(Vec::new()), error)))
    }

    /// The client, and the address that is answered (S01, S04, S06).
    fn proven(&self, asked: &Asked<'_>) -> Result<Proven> {
        let params = asked.params;
        let client_id = params.get("client_id").ok_or_else(|| bad("the parameter client_id is missing"))?;
        let client_id = ClientId::parse(client_id)
            .map_err(|error| Error::bad_input(Code::InvalidClientId, format!("client_id: {error}")))?;
        let named = params.get("tenant_id").map(str::to_owned);
        let whereabouts = Whereabouts { path: asked.path.clone(), named, token: None };
        let place = self.place(&whereabouts, &client_id)?;
        match admit(&place.entry, &place.client, PASSWORD) {
            Ok(()) => {}
            // Whether there is another way to log in is asked when somebody has.
            Err(error) if error.code() == Code::ProviderNotAllowed => {}
            Err(error) => return Err(error),
        }
        let sent = params.get("redirect_uri");
        let redirect_uri = address(&place.client, sent)?;
        let mode = params.get("response_mode").map(mode_of);
        Ok(Proven {
            issuer: place.view.issuer_of(&place.entry),
            place,
            redirect_uri,
            redirect_uri_sent: sent.is_some(),
            state: params.get("state").map(str::to_owned),
            // One that is unknown is told of in the usual way.
            mode: mode.flatten().unwrap_or(ResponseMode::Query),
        })
    }

    async fn decide(&self, asked: &Asked<'_>, proven: &Proven) -> Result<Decision> {
        let (params, place) = (asked.params, &proven.place);
        match params.get("response_mode").map(mode_of) {
            None => {}
            Some(Some(mode)) if place.client.response_modes.contains(&mode) => {}
            Some(_) => {
                return Err(bad("response_mode must be one that the client may use: query or form_post"));
            }
        }
        let request = Request::read(params, place)?;
        let now = self.0.clock.now();
        let begun = self.begun(asked, place, now);
        let seated = self.seated(asked, place).await?;
        let seated = seated.filter(|seated| is_fresh(&request, seated, begun, now));
        let Some(seated) = seated else {
            if request.prompt.none {
                return Err(Code::LoginRequired.into());
            }
            return self.log_in(asked, proven, request.prompt, begun.unwrap_or(now)).map(Decision::LogIn);
        };
        self.consented(asked, proven, &request, &seated, begun, now).await
    }

    /// When this very request was begun, if it comes back from a page of ours.
    fn begun(&self, asked: &Asked<'_>, place: &Place, now: Timestamp) -> Option<Timestamp> {
        let mark = asked.params.get(BEGUN)?;
        let begun = self.0.begun.read(mark, &self.about(asked, place))?;
        (now.millis().saturating_sub(begun.millis()) <= PATIENCE_MILLIS).then_some(begun)
    }

    /// What a mark is about: the tenant and the whole request.
    fn about(&self, asked: &Asked<'_>, place: &Place) -> Vec<u8> {
        format!("{}\n{}", place.entry.tenant.slug, query_of(asked.params, None)).into_bytes()
    }

    /// Who is logged in, in this tenant, in a way that the client allows.
    async fn seated(&self, asked: &Asked<'_>, place: &Place) -> Result<Option<Seated>> {
        let tenant = &place.entry.tenant.slug;
        if let Some(bearer) = asked.bearer.as_ref().filter(|_| self.0.settings.allow_bearer_session) {
            let principal = match self.0.authenticator.authenticate(bearer.expose()).await {
                Ok(principal) => principal,
                Err(error) if error.code() == Code::InvalidToken => return Ok(None),
                Err(error) => return Err(error),
            };
            let person = person_of(&principal)?;
            if person.tenant != *tenant {
                return Ok(None);
            }
            let mut work = self.0.stores.begin(&place.entry.tenant).await?;
            let family = work.refresh_tokens().find_family(person.session).await;
            let family = family.map_err(|error| refused(&error))?;
            work.commit().await.map_err(|error| refused(&error))?;
            return Ok(family.map(|family| Seated {
                user: person.user,
                authorizer: Authorizer::Family(family.id),
                auth_time: family.auth_time,
                amr: family.amr,
            }));
        }
        let Some(cookie) = &asked.cookie else { return Ok(None) };
        let session = self.0.accounts.session_of(cookie).await?.filter(|session| session.tenant == *tenant);
        let session = session.filter(|_| admit(&place.entry, &place.client, PASSWORD).is_ok());
        Ok(session.map(|session| Seated {
            user: session.user_id,
            authorizer: Authorizer::Browser(session.id),
            auth_time: session.auth_time,
            amr: session.amr,
        }))
    }

    /// Where somebody logs in who comes back to this request then.
    fn log_in(&self, asked: &Asked<'_>, proven: &Proven, prompt: Prompt, begun: Timestamp) -> Result<LogIn> {
        let Place { entry, client, .. } = &proven.place;
        let hint = asked.params.get("login_hint");
        Ok(LogIn {
            tenant: entry.tenant.slug.clone(),
            client_id: client.client_id.clone(),
            below: asked.path.is_some(),
            create: prompt.create,
            login_hint: hint.filter(|hint| hint.len() <= 320).map(str::to_owned),
            ui_locales: asked.params.get("ui_locales").filter(|text| text.len() <= 128).map(str::to_owned),
            return_to: self.return_to(asked, &proven.place, begun)?,
        })
    }

    /// The way back to this request, with the mark of its beginning.
    fn return_to(&self, asked: &Asked<'_>, place: &Place, begun: Timestamp) -> Result<ReturnTo> {
        let mark = self.0.begun.mark(begun, &self.about(asked, place));
        let below = asked.path.as_ref().map(|slug| format!("/t/{slug}")).unwrap_or_default();
        let path = format!("{below}/oauth2/authorize?{}", query_of(asked.params, Some(&mark)));
        path.parse()
            .map_err(|_| bad("the request is too long to come back to after a login: 4096 bytes at most"))
    }

    /// A code, if the person lets the client have what it asks for; else the question.
    async fn consented(
        &self,
        asked: &Asked<'_>,
        proven: &Proven,
        request: &Request,
        seated: &Seated,
        begun: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Decision> {
        let Place { entry, client, .. } = &proven.place;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = work.users().find_for_update(seated.user).await.map_err(|error| refused(&error))?;
        let Some(user) = user.filter(|user| user.status == UserStatus::Active) else {
            return Err(Code::LoginRequired.into());
        };
        let event = Event {
            requester: asked.requester,
            action: Action::Authorize,
            outcome: Outcome::Ok,
            tenant: &entry.tenant.slug,
            actor: Some(user.id),
            target: Some(user.id.0),
            client_id: Some(client.client_id.as_str()),
        };
        if asked.answered == Some(false) {
            let event = Event { outcome: Outcome::Refused("denied"), ..event };
            self.0.stores.commit_told(work, &[event]).await?;
            return Err(Code::AccessDenied.into());
        }
        let known = work.consents().find(user.id, client.id).await.map_err(|error| refused(&error))?;
        let held = known.as_ref().filter(|known| known.revoked_at.is_none());
        let covered = request.scope.iter().all(|scope| held.is_some_and(|held| held.scopes.contains(scope)));
        // Who took a consent back is asked again, whatever else is taken for given.
        let given = !client.require_consent
            && known.as_ref().is_none_or(|known| known.revoked_at.is_none())
            && request.scope.iter().all(|scope| {
                self.0.settings.consented.contains(scope)
                    || held.is_some_and(|held| held.scopes.contains(scope))
            });
        let answered = asked.answered == Some(true);
        if !answered && (request.prompt.consent || !(covered || given)) {
            if request.prompt.none {
                return Err(Code::ConsentRequired.into());
            }
            work.rollback();
            return self
                .ask(asked, proven, request, &user, begun.unwrap_or(now))
                .map(Box::new)
                .map(Decision::Consent);
        }
        if !covered && !request.scope.is_empty() {
            let document = (client.id, &client.client_id);
            let kept = work.consents().upsert(user.id, document, &request.scope, now).await;
            kept.map_err(|error| refused(&error))?.ok_or(Code::LoginRequired)?;
        }
        let code = OpaqueToken::generate_of(Kind::Code, self.0.rng.as_ref(), &entry.tenant.slug);
        let row = AuthorizationCode {
            user_id: user.id,
            authorizer: seated.authorizer,
            client: ref_of(client),
            redirect_uri: proven.redirect_uri.clone(),
            redirect_uri_sent: proven.redirect_uri_sent,
            scope: request.scope.clone(),
            resources: request.resources.clone(),
            nonce: request.nonce.clone(),
            challenge: request.challenge,
            created_at: now,
            expires_at: now.plus(CODE_LIFE),
        };
        work.authorization_codes()
            .insert(&TokenHash(code.hash()), &row)
            .await
            .map_err(|error| refused(&error))?;
        self.0.stores.commit_told(work, &[event]).await?;
        Ok(Decision::Back(proven.back(vec![("code", code.expose().to_owned())])))
    }

    fn ask(
        &self,
        asked: &Asked<'_>,
        proven: &Proven,
        request: &Request,
        user: &User,
        begun: Timestamp,
    ) -> Result<AskConsent> {
        let Place { entry, client, .. } = &proven.place;
        let described = entry.scopes.scopes.iter().filter(|known| request.scope.contains(&known.name));
        Ok(AskConsent {
            tenant: entry.tenant.slug.clone(),
            client_id: client.client_id.clone(),
            client_name: client.name.clone(),
            scopes: described.map(|known| (known.name.clone(), known.description.clone())).collect(),
            email: user.email.as_str().to_owned(),
            below: asked.path.is_some(),
            ui_locales: asked.params.get("ui_locales").filter(|text| text.len() <= 128).map(str::to_owned),
            return_to: self.return_to(asked, &proven.place, begun)?,
        })
    }
}

impl Proven {
    fn back(&self, mut params: Vec<(&'static str, String)>) -> Back {
        params.extend(self.state.iter().map(|state| ("state", state.clone())));
        params.push(("iss", self.issuer.clone()));
        Back { redirect_uri: self.redirect_uri.clone(), mode: self.mode, params }
    }
}

/// Whether the login is one that the request takes for good.
fn is_fresh(request: &Request, seated: &Seated, begun: Option<Timestamp>, now: Timestamp) -> bool {
    let since_begun = begun.is_some_and(|begun| seated.auth_time >= begun);
    let age = now.secs().saturating_sub(seated.auth_time.secs());
    let young = request.max_age.is_none_or(|most| age <= most || since_begun);
    let asked = !(request.prompt.login || request.prompt.create) || since_begun;
    // Who was asked for a second factor and has none, or was trusted without it, is let in as what they are.
    let strong = !request.two_factors || since_begun || is_strong(seated);
    young && asked && strong
}

fn is_strong(seated: &Seated) -> bool {
    seated.amr.iter().any(|amr| amr == crate::domain::mfa::AMR_MFA)
}

/// The one address that the request may be answered at.
fn address(client: &Client, sent: Option<&str>) -> Result<String> {
    let mut registered = client.redirect_uris.iter();
    match sent {
        Some(sent) if client.allows_redirect_uri(sent) => Ok(sent.to_owned()),
        Some(_) => Err(bad("redirect_uri is none that the client has registered")),
        None => match (registered.next(), registered.next()) {
            (Some(only), None) => Ok(only.clone()),
            _ => Err(bad("the parameter redirect_uri is missing")),
        },
    }
}

/// The mode of that name (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2).
fn mode_of(name: &str) -> Option<ResponseMode> {
    match name {
        "query" => Some(ResponseMode::Query),
        "form_post" => Some(ResponseMode::FormPost),
        _ => None,
    }
}

/// The parameters as a query, without a mark or with this one.
fn query_of(params: &Params, mark: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params.iter().filter(|(name, _)| *name != BEGUN));
    if let Some(mark) = mark {
        query.append_pair(BEGUN, mark);
    }
    query.finish()
}
