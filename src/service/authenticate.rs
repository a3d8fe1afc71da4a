//! Who holds this access token, and may they administer (spec §6 "Admin authorisation", §13.12; S36-S40, S100).
//!
//! A token is taken at its word only after its signature fits a published key of the issuer it names, and then
//! only while the view and the user database say that tenant, client, session and account are still live: at our
//! own routes a token dies with its session, not at its `exp`. A look-up that fails refuses. Must never choose a
//! key by anything but issuer, tenant and kid.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::future::{BoxFuture, FutureExt as _};
use hellojohn_control::documents::TenantStatus;
use hellojohn_control::{KeyRing, Slug, TenantEntry, Timestamp, View};

use super::principal::{AdminAuthorizer, Principal, UserAuthorizer};
use super::tokens::SYS_CLAIM;
use super::user_store::{UserStores, refused};
use super::{Code, Error, Result};
use crate::cluster::ControlPlane;
use crate::crypto::jwt::{AccessClaims, Expect, TokenError, Unverified, keys_of};
use crate::domain::clock::Clock;
use crate::domain::refresh_token::FamilyId;
use crate::domain::role::Role;
use crate::domain::user::{UserId, UserStatus};
use crate::service::break_glass;
use crate::store::pg::standing::Standing;

/// Who may administer (spec §6).
#[derive(Debug, Clone)]
pub struct AdminPolicy {
    /// `ADMIN_ENFORCE`; off, any live token of an admin tenant will do. Never off in cluster mode.
    pub enforce: bool,
    /// `ADMIN_SUBS`.
    pub subs: BTreeSet<String>,
    /// `ADMIN_TENANTS`.
    pub tenants: Arc<[Slug]>,
}

/// A person as a verified access token names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The tenant.
    pub tenant: Slug,
    /// The account.
    pub user: UserId,
    /// The session.
    pub session: FamilyId,
    /// The token's `jti`.
    pub token_id: String,
    /// The token's end.
    pub expires_at: Timestamp,
}

/// Reads and judges access tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator {
    plane: ControlPlane,
    stores: UserStores,
    clock: Arc<dyn Clock>,
    admins: AdminPolicy,
    /// `jti` of the break-glass token that was told of last, and in which minute.
    told: Arc<ArcSwapOption<(String, i64)>>,
}

/// A token whose signature and claims are right.
struct Verified {
    claims: AccessClaims,
    entry: Arc<TenantEntry>,
    /// Whether it is from the global issuer.
    global: bool,
}

impl Authenticator {
    /// An authenticator that believes the keys of `plane`'s view.
    pub fn new(plane: ControlPlane, stores: UserStores, clock: Arc<dyn Clock>, admins: AdminPolicy) -> Self {
        if !admins.enforce {
            tracing::warn!("ADMIN_ENFORCE is off: every valid token of an admin tenant may administer");
        }
        Self { plane, stores, clock, admins, told: Arc::default() }
    }

    /// The person that a token of ours speaks for. Does not ask whether its session is still live.
    ///
    /// # Errors
    /// `invalid_token`.
    pub fn read_person(&self, bearer: &str) -> Result<Person> {
        let view = self.plane.view();
        let token = Unverified::parse(bearer).map_err(refuse)?;
        let Verified { claims, .. } = verify(&view, token, self.clock.now())?;
        person_of(&principal_of(claims))
    }

    /// The claims of an access token of ours. Does not ask whether it is still live.
    ///
    /// # Errors
    /// `invalid_token`.
    pub(super) fn read(&self, bearer: &str) -> Result<AccessClaims> {
        let token = Unverified::parse(bearer).map_err(refuse)?;
        Ok(verify_for_anybody(&self.plane.view(), token, self.clock.now())?.claims)
    }

    /// The claims of an access token of ours, whoever it is for, if it and all that it speaks for are live now.
    ///
    /// # Errors
    /// `invalid_token`; `storage_unavailable`: a look-up that fails refuses (S40).
    pub(super) async fn inspect(&self, bearer: &str) -> Result<AccessClaims> {
        let view = self.plane.view();
        let token = Unverified::parse(bearer).map_err(refuse)?;
        let verified = verify_for_anybody(&view, token, self.clock.now())?;
        if verified.claims.sid.is_some() {
            return Ok(self.stands(verified).await?.0.claims);
        }
        let Verified { claims, entry, .. } = verified;
        match entry.tenant.status {
            TenantStatus::Active => {}
            TenantStatus::Suspended => return Err(invalid("the tenant is suspended")),
        }
        // A client that was deleted and made again is another one (spec §4).
        let client = entry.clients.get(claims.client_id.as_str());
        if client.is_none_or(|client| !client.enabled || claims.iat < client.created_at.secs()) {
            return Err(invalid("the client is gone"));
        }
        // Where no database is, nothing was ever denied.
        if !self.stores.has_none(&entry.tenant) {
            let mut work = self.stores.begin(&entry.tenant).await?;
            let denied = work.denied_jtis().contains(&claims.jti).await.map_err(|error| refused(&error))?;
            work.commit().await.map_err(|error| refused(&error))?;
            if denied {
                return Err(invalid("the token is denied"));
            }
        }
        Ok(claims)
    }

    /// The token, verified, of a person and a session that are live now.
    async fn live(&self, view: &View, token: Unverified<'_>) -> Result<(Verified, Standing)> {
        self.stands(verify(view, token, self.clock.now())?).await
    }

    async fn stands(&self, verified: Verified) -> Result<(Verified, Standing)> {
        let person = person_of(&principal_of(verified.claims.clone()))?;
        match verified.entry.tenant.status {
            TenantStatus::Active => {}
            TenantStatus::Suspended => return Err(invalid("the tenant is suspended")),
        }
        let mut work = self.stores.begin(&verified.entry.tenant).await?;
        let standing = work.standing(&person.token_id, person.session, person.user).await;
        let standing = standing.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        let client = verified.entry.clients.get(verified.claims.client_id.as_str());
        let client = client.filter(|client| client.enabled).map(|client| client.id);
        let why = match &standing {
            Standing { denied: true, .. } => "the token is denied",
            Standing { session_live: false, .. } => "the session is over",
            Standing { client_uuid, .. } if client_uuid.is_none() || *client_uuid != client => {
                "the client is gone"
            }
            Standing { status: Some(UserStatus::Active), .. } => return Ok((verified, standing)),
            Standing { status: Some(UserStatus::Disabled | UserStatus::Locked) | None, .. } => {
                "the account is not active"
            }
        };
        Err(invalid(why))
    }

    /// A way in that no account stands behind is told of once a minute while it is used; what is written with it
    /// is told of each time, like every write.
    fn tell_of_break_glass(&self, principal: &Principal) {
        let minute = self.clock.now().secs() / 60;
        if self.told.load().as_deref().is_some_and(|(jti, at)| *jti == principal.token_id && *at == minute) {
            return;
        }
        self.told.store(Some(Arc::new((principal.token_id.clone(), minute))));
        tracing::warn!(
            target: "audit",
            actor = principal.actor(),
            jti = principal.token_id,
            "a break-glass token is used"
        );
    }

    async fn administrator(&self, bearer: &str) -> Result<Principal> {
        let view = self.plane.view();
        let token = Unverified::parse(bearer).map_err(refuse)?;
        if token.tid() == break_glass::TENANT {
            let principal = break_glass::verify(&view, token, self.clock.now())?;
            self.tell_of_break_glass(&principal);
            return Ok(principal);
        }
        let (verified, standing) = self.live(&view, token).await?;
        let (claims, tenant) = (&verified.claims, &verified.entry.tenant);
        let forbidden = |why: &'static str| Err(Error::new(Code::Forbidden).context(why));
        if !verified.global {
            return forbidden("the token is not from the global issuer");
        }
        if !self.admins.tenants.contains(&tenant.slug) {
            return forbidden("the tenant is not in ADMIN_TENANTS");
        }
        if tenant.settings.user_store.is_some() {
            return forbidden("a tenant with a database of its own has no administrators");
        }
        let rights = rights(claims);
        // What the token says is at most as old as the token; what the database says rules.
        let flagged = rights.is_admin && standing.sys_admin;
        let role = rights.has_role && standing.admin_role;
        if !self.admins.enforce || flagged || role || self.admins.subs.contains(&claims.sub) {
            return Ok(principal_of(verified.claims));
        }
        forbidden("not an administrator")
    }
}

impl UserAuthorizer for Authenticator {
    fn authenticate<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal>> {
        async move {
            let view = self.plane.view();
            let token = Unverified::parse(bearer).map_err(refuse)?;
            Ok(principal_of(self.live(&view, token).await?.0.claims))
        }
        .boxed()
    }
}

impl AdminAuthorizer for Authenticator {
    fn authorize<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal>> {
        self.administrator(bearer).boxed()
    }
}

/// Verifies a token against the one key set that its issuer and tenant lead to.
///
/// A path tenant's tokens from before its switch carry the global issuer and verify with the global keys for as
/// long as those are published.
fn verify(view: &View, token: Unverified<'_>, now: Timestamp) -> Result<Verified> {
    let verified = verify_for_anybody(view, token, now)?;
    // Ours are for the client that they were issued to; a token for another audience is not for us.
    if !verified.claims.aud.contains(&verified.claims.client_id) {
        return Err(refuse(TokenError::WrongAudience));
    }
    Ok(verified)
}

/// As [`verify`], whoever the token is for.
fn verify_for_anybody(view: &View, token: Unverified<'_>, now: Timestamp) -> Result<Verified> {
    let slug = Slug::parse(token.tid()).map_err(|_| invalid("the token names no tenant"))?;
    let entry = view.tenant(&slug).ok_or_else(|| invalid("the token names an unknown tenant"))?;
    let issuer = token.iss().to_owned();
    let global = issuer == view.global_issuer();
    if !global && issuer != view.issuer_of(entry) {
        return Err(refuse(TokenError::WrongIssuer));
    }
    let ring: &KeyRing = if global { view.global_keys() } else { &entry.keys };
    let find = keys_of(|kid| ring.get(kid.as_str()).map(AsRef::as_ref));
    let expect = Expect { issuer: &issuer, audience: None, tenant: Some(slug.as_str()) };
    let claims = token.verify(&find, now, &expect).map_err(refuse)?;
    Ok(Verified { claims, entry: Arc::clone(entry), global })
}

/// The person behind a principal.
///
/// # Errors
/// `invalid_token` for a token that speaks for nobody: of a client, or a break-glass token.
pub fn person_of(principal: &Principal) -> Result<Person> {
    let nobody = || invalid("the token speaks for no person");
    let session = principal.session_id.as_deref().and_then(|sid| sid.parse().ok()).map(FamilyId);
    Ok(Person {
        tenant: Slug::parse(&principal.tenant).map_err(|_| nobody())?,
        user: principal.subject.parse().map_err(|_| nobody())?,
        session: session.ok_or_else(nobody)?,
        token_id: principal.token_id.clone(),
        expires_at: principal.expires_at,
    })
}

pub(super) fn principal_of(claims: AccessClaims) -> Principal {
    Principal {
        subject: claims.sub,
        tenant: claims.tid,
        client_id: Some(claims.client_id),
        session_id: claims.sid,
        token_id: claims.jti,
        scopes: claims.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        expires_at: Timestamp::from_secs(claims.exp),
    }
}

/// What `custom` says about administration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) is_admin: bool,
    pub(super) has_role: bool,
}

pub(super) fn rights(claims: &AccessClaims) -> Rights {
    let Some(sys) = claims.custom.as_ref().and_then(|custom| custom.get(SYS_CLAIM)) else {
        return Rights::default();
    };
    let roles = sys.get("roles").and_then(serde_json::Value::as_array);
    Rights {
        is_admin: sys.get("is_admin").and_then(serde_json::Value::as_bool) == Some(true),
        has_role: roles.is_some_and(|roles| roles.iter().any(|role| role.as_str() == Some(Role::ADMIN))),
    }
}

pub(super) fn refuse(error: TokenError) -> Error {
    invalid(&error.to_string())
}

pub(super) fn invalid(why: &str) -> Error {
    Error::new(Code::InvalidToken).context(why)
}
