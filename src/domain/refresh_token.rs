//! Refresh tokens and the families they belong to (spec §6 EP004-6, §13.11; S32-S35).
//!
//! A login starts a family; each use of a token replaces it by a successor in the same family. What must hold
//! for all of them (who, for which client, until when, revoked or not) stands once, in the family, so that a
//! revocation cannot miss a successor that is being made at the same moment. Knows no storage and no crypto.

use std::fmt;
use std::str::FromStr;

use hellojohn_control::{ClientId, ScopeName, Slug, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::user::UserId;

/// Identifier of a family, and the `sid` of every token that it issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FamilyId(pub Uuid);

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifier of one refresh token's row; not a secret, and not the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefreshTokenId(pub Uuid);

/// SHA-256 of an opaque token: all that is ever stored of it (S112).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// Why a family was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// Its owner logged out.
    Logout,
    /// Its owner logged out everywhere.
    LogoutAll,
    /// A token was used again after its successor (S32).
    Reuse,
    /// Revoked by its client or an administrator.
    Revoked,
    /// The password changed or was reset (S34).
    PasswordChanged,
    /// The account was disabled, locked or deleted (S34, S80).
    UserDisabled,
    /// The client was deleted or its sessions revoked.
    ClientRevoked,
    /// The tenant was deleted or suspended.
    TenantRevoked,
    /// The consent was withdrawn.
    ConsentRevoked,
    /// A second factor was added, replaced or removed (S34).
    MfaChanged,
}

/// A text is not the name of a [`RevocationReason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown revocation reason")]
pub struct InvalidRevocationReason;

impl RevocationReason {
    /// Every reason, for the check constraint's test.
    pub const ALL: [Self; 10] = [
        Self::Logout,
        Self::LogoutAll,
        Self::Reuse,
        Self::Revoked,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::ClientRevoked,
        Self::TenantRevoked,
        Self::ConsentRevoked,
        Self::MfaChanged,
    ];

    /// The name in the database and in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::Reuse => "reuse",
            Self::Revoked => "revoked",
            Self::PasswordChanged => "password_changed",
            Self::UserDisabled => "user_disabled",
            Self::ClientRevoked => "client_revoked",
            Self::TenantRevoked => "tenant_revoked",
            Self::ConsentRevoked => "consent_revoked",
            Self::MfaChanged => "mfa_changed",
        }
    }
}

impl FromStr for RevocationReason {
    type Err = InvalidRevocationReason;
    fn from_str(text: &str) -> Result<Self, InvalidRevocationReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(InvalidRevocationReason)
    }
}

/// When and why a family was revoked. The first revocation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// How a family came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyGrant {
    /// By a login at our own API, where the client has proven nothing.
    Login,
    /// By an authorization code, which the client redeemed with its proof (RFC 6749 §4.1).
    AuthorizationCode,
}

/// A text is not the name of a [`FamilyGrant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of grant")]
pub struct InvalidFamilyGrant;

impl FamilyGrant {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::AuthorizationCode => "authorization_code",
        }
    }
}

impl FromStr for FamilyGrant {
    type Err = InvalidFamilyGrant;
    fn from_str(text: &str) -> Result<Self, InvalidFamilyGrant> {
        let all = [Self::Login, Self::AuthorizationCode];
        all.into_iter().find(|grant| grant.as_str() == text).ok_or(InvalidFamilyGrant)
    }
}

/// What all refresh tokens of one login share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFamily {
    /// Identifier; the `sid` claim.
    pub id: FamilyId,
    /// The tenant it belongs to.
    pub tenant: Slug,
    /// Whose it is.
    pub user_id: UserId,
    /// Identity of the client *document*: a client_id that was deleted and made again is another client
    /// (spec §4).
    pub client_uuid: Uuid,
    /// The client's name in the tenant.
    pub client_id: ClientId,
    /// How its owner was authenticated (RFC 8176).
    pub amr: Vec<String>,
    /// When its owner was authenticated.
    pub auth_time: Timestamp,
    /// When the login was.
    pub created_at: Timestamp,
    /// Absolute end; no rotation moves it (S33).
    pub expires_at: Timestamp,
    /// How it came about.
    pub grant: FamilyGrant,
    /// The session of the browser in which it was granted. Unless it was granted for longer (`offline_access`), it ends with it.
    pub browser_session: Option<FamilyId>,
    /// The resources that its access tokens are for (RFC 8707); none: they are for the client alone.
    pub resources: Vec<String>,
    /// Set once, by the first revocation.
    pub revoked: Option<Revocation>,
}

impl TokenFamily {
    /// Neither revoked nor past its absolute end.
    pub fn live_at(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires_at
    }
}

/// What a live session gives whoever has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// Tokens for a client: a family of refresh tokens.
    Tokens,
    /// A browser that is known by its cookie.
    Browser,
}

impl SessionKind {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Browser => "browser",
        }
    }
}

/// A session that is live, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The family, or the browser session.
    pub id: FamilyId,
    /// What it is.
    pub kind: SessionKind,
    /// The client that it was started through; a browser session may go without.
    pub client_id: Option<ClientId>,
    /// How its owner was authenticated (RFC 8176).
    pub amr: Vec<String>,
    /// When the login was.
    pub created_at: Timestamp,
    /// When tokens were made for it last, or its cookie was believed.
    pub last_used_at: Timestamp,
    /// Absolute end.
    pub expires_at: Timestamp,
}

/// The successor of a used token, kept for a lost answer (spec §13.11).
#[derive(Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The successor's token, encrypted under a key that only the used token yields.
    pub sealed: Vec<u8>,
    /// Until when it may be handed out again.
    pub until: Timestamp,
}

impl fmt::Debug for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overlap(.., until {})", self.until)
    }
}

/// One refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Identifier of the row.
    pub id: RefreshTokenId,
    /// The family it belongs to.
    pub family_id: FamilyId,
    /// Hash of the token.
    pub token_hash: TokenHash,
    /// What it grants; never more than its predecessor (S24).
    pub scope: Vec<ScopeName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// End of this token if it is not used; at most the family's end.
    pub expires_at: Timestamp,
    /// When it was exchanged for its successor.
    pub used_at: Option<Timestamp>,
    /// Its successor.
    pub replaced_by: Option<RefreshTokenId>,
    /// Its successor's token, for a short while after its use.
    pub overlap: Option<Overlap>,
}

impl RefreshToken {
    /// Whether it can still be exchanged, as far as it knows itself; the family has its own say.
    pub fn unused_at(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }

    /// The sealed successor, while the overlap lasts.
    pub fn overlap_at(&self, now: Timestamp) -> Option<&Overlap> {
        self.overlap.as_ref().filter(|overlap| now < overlap.until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(now: Timestamp) -> RefreshToken {
        RefreshToken {
            id: RefreshTokenId(Uuid::nil()),
            family_id: FamilyId(Uuid::nil()),
            token_hash: TokenHash([7; 32]),
            scope: vec![],
            created_at: now,
            expires_at: now.plus(Duration::from_secs(60)),
            used_at: None,
            replaced_by: None,
            overlap: None,
        }
    }

    /// spec §13.11
    #[test]
    fn an_overlap_ends_at_its_moment() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut token = token(now);
        assert!(token.unused_at(now));
        let until = now.plus(Duration::from_secs(10));
        token.used_at = Some(now);
        token.overlap = Some(Overlap { sealed: vec![1, 2, 3], until });
        assert!(!token.unused_at(now));
        assert!(token.overlap_at(Timestamp::from_millis(until.millis() - 1)).is_some());
        assert!(token.overlap_at(until).is_none());
    }

    /// S111
    #[test]
    fn neither_hash_nor_sealed_successor_is_printed() {
        let now = Timestamp::from_secs(1);
        let mut token = token(now);
        token.overlap = Some(Overlap { sealed: vec![201, 202, 203], until: now });
        let shown = format!("{token:?}");
        assert!(!shown.contains("7, 7"), "{shown}");
        assert!(!shown.contains("201"), "{shown}");
    }

    #[test]
    fn reasons_round_trip() {
        for reason in RevocationReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
