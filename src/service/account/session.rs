//! A login becomes a session: a family of refresh tokens with its first token, and an access token.

use hellojohn_control::documents::{Client, GrantType};
use hellojohn_control::{ScopeName, Timestamp};

use super::AccountService;
use super::login::Started;
use super::place::{Goal, Place};
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::OpaqueToken;
use crate::domain::refresh_token::{
    FamilyGrant, FamilyId, RefreshToken, RefreshTokenId, TokenFamily, TokenHash,
};
use crate::domain::rng;
use crate::domain::user::User;
use crate::service::Result;
use crate::service::tokens::{Grant, TokenSet, granted};
use crate::service::user_store::refused;
use crate::store::UnitOfWork;

/// How a password login is named in `amr` (RFC 8176 §2).
pub(super) const AMR_PASSWORD: &str = "pwd";

/// How a family comes about.
#[derive(Debug)]
pub(in crate::service) struct Opening {
    /// How its owner was authenticated (RFC 8176).
    pub(in crate::service) amr: Vec<String>,
    /// When its owner was authenticated.
    pub(in crate::service) auth_time: Timestamp,
    /// What is granted.
    pub(in crate::service) scope: Vec<ScopeName>,
    /// By what.
    pub(in crate::service) grant: FamilyGrant,
    /// The session of the browser that it goes with.
    pub(in crate::service) browser_session: Option<FamilyId>,
    /// What its access tokens are for (RFC 8707).
    pub(in crate::service) resources: Vec<String>,
}

/// A session that a password alone has started.
pub(super) fn password_alone() -> Vec<String> {
    vec![AMR_PASSWORD.to_owned()]
}

/// Whether the client may exchange refresh tokens; asked when one is made and whenever one is used (S35).
pub(in crate::service) fn may_refresh(client: &Client) -> bool {
    client.grant_types.contains(&GrantType::RefreshToken)
}

impl AccountService {
    /// Starts the session that a login is for. Nothing is kept unless `work` is committed.
    pub(super) async fn start(
        &self,
        work: &mut UnitOfWork,
        goal: &Goal,
        user: &User,
        amr: Vec<String>,
        now: Timestamp,
    ) -> Result<Started> {
        match goal {
            Goal::Tokens(place) => {
                let (_, tokens) = self.start_session(work, place, user, amr, now).await?;
                Ok(Started::Tokens(tokens))
            }
            Goal::Browser(visit) => {
                Ok(Started::Browser(self.start_browser_session(work, visit, user, amr, now).await?))
            }
        }
    }

    /// Starts a session of `user`, who was authenticated as `amr` says, with all that the client may have. Nothing is kept
    /// unless `work` is committed.
    ///
    /// Whether the account has a second factor is asked by `enter`, through which every way in goes: whoever calls this
    /// instead must know why that is right.
    pub(super) async fn start_session(
        &self,
        work: &mut UnitOfWork,
        place: &Place,
        user: &User,
        amr: Vec<String>,
        now: Timestamp,
    ) -> Result<(FamilyId, TokenSet)> {
        self.start_session_since(work, place, user, amr, now, now).await
    }

    /// As [`Self::start_session`], for a person who was authenticated as `amr` says at `auth_time`, some time ago perhaps.
    pub(super) async fn start_session_since(
        &self,
        work: &mut UnitOfWork,
        place: &Place,
        user: &User,
        amr: Vec<String>,
        auth_time: Timestamp,
        now: Timestamp,
    ) -> Result<(FamilyId, TokenSet)> {
        let opening = Opening {
            amr,
            auth_time,
            scope: granted(&place.entry, &place.client, &place.client.scopes),
            grant: FamilyGrant::Login,
            browser_session: None,
            resources: Vec::new(),
        };
        self.open_family(work, place, user, opening, now).await
    }

    /// Starts a family of `user`, with its first tokens. Nothing is kept unless `work` is committed.
    ///
    /// Whether the account has a second factor is asked by `enter`, as above.
    pub(in crate::service) async fn open_family(
        &self,
        work: &mut UnitOfWork,
        place: &Place,
        user: &User,
        opening: Opening,
        now: Timestamp,
    ) -> Result<(FamilyId, TokenSet)> {
        let Place { view, entry, client } = place;
        let Opening { amr, auth_time, scope, grant, browser_session, resources } = opening;
        let life = self.0.tokens.lifetimes().refresh_of(entry, client);
        let family = TokenFamily {
            id: FamilyId(rng::uuid(self.0.rng.as_ref())),
            tenant: entry.tenant.slug.clone(),
            user_id: user.id,
            client_uuid: client.id,
            client_id: client.client_id.clone(),
            amr,
            auth_time,
            created_at: now,
            expires_at: now.plus(life),
            grant,
            browser_session,
            resources,
            revoked: None,
        };
        work.refresh_tokens().insert_family(&family).await.map_err(|error| refused(&error))?;
        let refresh = if may_refresh(client) {
            let (token, row) = self.new_refresh_token(&family, scope.clone(), now);
            work.refresh_tokens().insert(&row).await.map_err(|error| refused(&error))?;
            Some(SecretString::from(token.expose()))
        } else {
            None
        };
        let authority = self.authority(work, entry, user.id, &scope).await?;
        let grant =
            Grant { view, entry, client, user, family: &family, scope: &scope, authority: &authority };
        Ok((family.id, TokenSet { access: self.0.tokens.access(&grant, now)?, refresh }))
    }

    /// A refresh token of the family and the row that stands for it.
    pub(super) fn new_refresh_token(
        &self,
        family: &TokenFamily,
        scope: Vec<ScopeName>,
        now: Timestamp,
    ) -> (OpaqueToken, RefreshToken) {
        let rng = self.0.rng.as_ref();
        let token = OpaqueToken::generate(rng, &family.tenant);
        let row = RefreshToken {
            id: RefreshTokenId(rng::uuid(rng)),
            family_id: family.id,
            token_hash: TokenHash(token.hash()),
            scope,
            created_at: now,
            expires_at: family.expires_at,
            used_at: None,
            replaced_by: None,
            overlap: None,
        };
        (token, row)
    }
}
