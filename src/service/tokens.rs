//! Access tokens: which claims a person's token carries, for how long, and which key signs it (spec §7).
//!
//! Owns the claims and the lifetimes. Must never sign with anything but the active key of the set that the view
//! names for the tenant, and never give `custom` to the people of a tenant that may not administer.

use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::documents::{Alg, Client, KeySet};
use hellojohn_control::{ScopeName, Slug, TenantEntry, Timestamp, View};
use serde_json::{Map, Value, json};

use super::{Code, Error, Result};
use crate::crypto::jwt::AccessClaims;
use crate::crypto::secret::SecretString;
use crate::crypto::signer::KeyOpener;
use crate::domain::mfa::AMR_MFA;
use crate::domain::refresh_token::TokenFamily;
use crate::domain::rng::{self, Rng};
use crate::domain::role::{Permission, Role};
use crate::domain::user::User;

/// The claim under which an administrator's rights stand.
pub const SYS_CLAIM: &str = "urn:hellojohn:sys";
/// One factor (spec §7).
const LOA_ONE: &str = "loa:1";
/// Two factors, shown at the login itself: a trusted device is none (spec §7, S69).
const LOA_TWO: &str = "loa:2";

/// How long tokens live where neither client nor tenant says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// `JWT_ACCESS_TTL`.
    pub access: Duration,
    /// `JWT_REFRESH_TTL`: of a family, from the login on; no rotation moves its end (S33).
    pub refresh: Duration,
}

impl Lifetimes {
    /// Life of an access token: the client's, else the tenant's, else the node's.
    pub fn access_of(&self, entry: &TenantEntry, client: &Client) -> Duration {
        let tenant = entry.tenant.settings.tokens.as_ref().and_then(|ttls| ttls.access_ttl_seconds);
        client.access_ttl_seconds.or(tenant).map_or(self.access, seconds)
    }

    /// Life of a family of refresh tokens: the client's, else the tenant's, else the node's.
    pub fn refresh_of(&self, entry: &TenantEntry, client: &Client) -> Duration {
        let tenant = entry.tenant.settings.tokens.as_ref().and_then(|ttls| ttls.refresh_ttl_seconds);
        client.refresh_ttl_seconds.or(tenant).map_or(self.refresh, seconds)
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// For whom and for what a token is made. Everything in it has been judged already.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// The view that was judged by.
    pub view: &'a View,
    /// The tenant in it.
    pub entry: &'a TenantEntry,
    /// The client in it.
    pub client: &'a Client,
    /// The person.
    pub user: &'a User,
    /// The login.
    pub family: &'a TokenFamily,
    /// What is granted.
    pub scope: &'a [ScopeName],
    /// What the person may do by their roles, as far as the token is to say it.
    pub authority: &'a Authority,
}

/// Roles and permissions of a person, for the claims of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// For the claim `roles`, where the scope asks for it.
    pub roles: Vec<Role>,
    /// For the claim `permissions`, where the scope asks for it.
    pub permissions: Vec<Permission>,
    /// Roles that count in the installation, for the claim `custom`.
    pub system: Vec<Role>,
}

/// A signed access token.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: SecretString,
    /// Seconds that it lives.
    pub expires_in: u64,
    /// Its end.
    pub expires_at: Timestamp,
    /// What it grants, separated by spaces.
    pub scope: String,
}

/// What a login or a refresh yields.
#[derive(Debug)]
pub struct TokenSet {
    /// The access token.
    pub access: AccessToken,
    /// The refresh token; absent for a client that may not refresh.
    pub refresh: Option<SecretString>,
}

/// Makes access tokens.
#[derive(Debug)]
pub struct TokenIssuer {
    keys: Arc<KeyOpener>,
    rng: Arc<dyn Rng>,
    lifetimes: Lifetimes,
    admin_tenants: Arc<[Slug]>,
}

impl TokenIssuer {
    /// An issuer that opens signing keys with `keys`. `admin_tenants` is `ADMIN_TENANTS`.
    pub fn new(
        keys: Arc<KeyOpener>,
        rng: Arc<dyn Rng>,
        lifetimes: Lifetimes,
        admin_tenants: Arc<[Slug]>,
    ) -> Self {
        Self { keys, rng, lifetimes, admin_tenants }
    }

    /// How long tokens live.
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Forgets opened keys that the view has no more.
    pub fn forget_old_keys(&self, view: &View) {
        self.keys.prune(&|tenant, kid| {
            let ring = match tenant {
                None => Some(view.global_keys()),
                Some(slug) => view.tenant(slug).map(|entry| &entry.keys),
            };
            ring.is_some_and(|ring| ring.get(kid.as_str()).is_some())
        });
    }

    /// Signs an access token with the tenant's active key.
    ///
    /// # Errors
    /// `cluster_not_formed` while there is no key yet; `internal` for a key that does not open.
    pub fn access(&self, grant: &Grant<'_>, now: Timestamp) -> Result<AccessToken> {
        let life = self.lifetimes.access_of(grant.entry, grant.client);
        let claims = self.claims(grant, now, now.plus(life));
        self.signed(grant.view, grant.entry, claims, life, now)
    }

    fn signed(
        &self,
        view: &View,
        entry: &TenantEntry,
        claims: AccessClaims,
        life: Duration,
        now: Timestamp,
    ) -> Result<AccessToken> {
        let set = view.signing_set(entry);
        let owner = match &set {
            KeySet::Global => None,
            KeySet::Tenant(slug) => Some(slug),
        };
        let key = view.keys(&set).and_then(|ring| ring.active(Alg::EdDsa));
        let key = key.ok_or_else(|| Error::new(Code::ClusterNotFormed).context("no active EdDSA key"))?;
        let handle = self.keys.handle(owner, key).map_err(Error::internal)?;
        let token = handle.sign_access(&claims).map_err(Error::internal)?;
        metrics::counter!("hellojohn_tokens_issued_total", "kind" => "access").increment(1);
        Ok(AccessToken {
            token: SecretString::from(token),
            expires_in: life.as_secs(),
            expires_at: now.plus(life),
            scope: claims.scope,
        })
    }

    /// Signs an access token that speaks for the client itself (RFC 6749 §4.4, RFC 9068 §2.2).
    ///
    /// # Errors
    /// As [`Self::access`].
    pub(super) fn for_client(
        &self,
        view: &View,
        entry: &TenantEntry,
        client: &Client,
        scope: &[ScopeName],
        resources: &[String],
        now: Timestamp,
    ) -> Result<AccessToken> {
        let life = self.lifetimes.access_of(entry, client);
        let client_id = client.client_id.as_str().to_owned();
        let claims = AccessClaims {
            iss: view.issuer_of(entry),
            sub: client_id.clone(),
            aud: audience(resources, &client_id),
            azp: Some(client_id.clone()),
            client_id,
            scope: joined(scope),
            tid: entry.tenant.slug.as_str().to_owned(),
            sid: None,
            exp: now.plus(life).secs(),
            iat: now.secs(),
            nbf: now.secs(),
            jti: rng::uuid(self.rng.as_ref()).to_string(),
            amr: Vec::new(),
            acr: None,
            roles: Vec::new(),
            permissions: Vec::new(),
            custom: None,
        };
        self.signed(view, entry, claims, life, now)
    }

    fn claims(&self, grant: &Grant<'_>, now: Timestamp, expires_at: Timestamp) -> AccessClaims {
        let client_id = grant.client.client_id.as_str().to_owned();
        AccessClaims {
            iss: grant.view.issuer_of(grant.entry),
            sub: grant.user.id.to_string(),
            aud: audience(&grant.family.resources, &client_id),
            azp: Some(client_id.clone()),
            client_id,
            scope: joined(grant.scope),
            tid: grant.entry.tenant.slug.as_str().to_owned(),
            sid: Some(grant.family.id.to_string()),
            exp: expires_at.secs(),
            iat: now.secs(),
            nbf: now.secs(),
            jti: rng::uuid(self.rng.as_ref()).to_string(),
            amr: grant.family.amr.clone(),
            acr: Some(level(&grant.family.amr).to_owned()),
            roles: grant.authority.roles.iter().map(Role::to_string).collect(),
            permissions: grant.authority.permissions.iter().map(Permission::to_string).collect(),
            custom: self.rights(grant),
        }
    }

    /// Whether people of the tenant can administer the installation. A tenant with a database of its own has no
    /// administrators: who runs that database could make anybody one.
    pub fn has_administrators(&self, entry: &TenantEntry) -> bool {
        self.admin_tenants.contains(&entry.tenant.slug) && entry.tenant.settings.user_store.is_none()
    }

    /// What a system administrator's token says.
    fn rights(&self, grant: &Grant<'_>) -> Option<Map<String, Value>> {
        let system = &grant.authority.system;
        let has = grant.user.sys_admin || !system.is_empty();
        (has && self.has_administrators(grant.entry)).then(|| {
            let rights = json!({"is_admin": grant.user.sys_admin, "roles": system});
            Map::from_iter([(SYS_CLAIM.to_owned(), rights)])
        })
    }
}

/// Whom a token is for: the resources that were asked for (RFC 8707 §2), else the client itself.
fn audience(resources: &[String], client_id: &str) -> Vec<String> {
    if resources.is_empty() { vec![client_id.to_owned()] } else { resources.to_vec() }
}

/// What a login was worth, by how it was made.
fn level(amr: &[String]) -> &'static str {
    if amr.iter().any(|amr| amr == AMR_MFA) { LOA_TWO } else { LOA_ONE }
}

/// The `scope` parameter of RFC 6749 §3.3.
pub fn joined(scope: &[ScopeName]) -> String {
    scope.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(" ")
}

/// What the client may have of `wanted` now: what it is registered for and the catalogue still has (S24).
pub fn granted<'a>(
    entry: &TenantEntry,
    client: &Client,
    wanted: impl IntoIterator<Item = &'a ScopeName>,
) -> Vec<ScopeName> {
    let allowed = |scope: &&ScopeName| client.scopes.contains(scope) && entry.scopes.contains(scope);
    wanted.into_iter().filter(allowed).cloned().collect()
}
