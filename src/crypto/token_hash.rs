//! Opaque tokens (refresh tokens, the halves of logins, trusted devices, mailed links, browser sessions, authorization codes): made, parsed, hashed for storage.
//!
//! A token has 256 random bits, so a plain SHA-256 is a safe form to store: nobody can search for its
//! preimage, and a look-up by hash needs no comparison of secrets. In front of the random part stands the
//! tenant, because the token alone must lead to the database that knows it; it is no secret, and as it is part
//! of what is hashed, a token whose tenant was changed is another, unknown token. Must never store or print a
//! token itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::Slug;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::secret::SecretString;
use crate::domain::rng::{self, Rng};

/// What a token is for. The name in front of it is part of what is hashed, so one kind is never another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Continues a session.
    Refresh,
    /// Stands for the first half of a login until the second (S68).
    Mfa,
    /// Names a device that its owner trusts (S69).
    Device,
    /// Stands in a mailed link (S70-S75).
    Mail,
    /// Is the cookie of a browser session (S77).
    Browser,
    /// Is an authorization code (RFC 6749 §4.1.2).
    Code,
}

impl Kind {
    /// What every token of this kind begins with, so that secret scanners can find a leaked one.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => PREFIX,
            Self::Mfa => "hjm_",
            Self::Device => "hjd_",
            Self::Mail => "hjl_",
            Self::Browser => "hjb_",
            Self::Code => "hjc_",
        }
    }
}

/// What every refresh token begins with; the other kinds have as many characters.
pub const PREFIX: &str = "hjr_";
const RANDOM_BYTES: usize = 32;
/// base64url of 32 bytes without padding.
const RANDOM_CHARS: usize = 43;
/// Prefix, the longest slug, a dot and the random part.
const MAX_LEN: usize = PREFIX.len() + 63 + 1 + RANDOM_CHARS;

/// An opaque token: `hjr_{tenant}.` (or another kind's name in front) and 32 random bytes in base64url without padding. Compared in constant time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueToken {
    tenant: Slug,
    text: SecretString,
}

/// A text is not an opaque token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an opaque token: it has the form {PREFIX}<tenant>.<{RANDOM_CHARS} characters of base64url>")]
pub struct NotAToken;

impl OpaqueToken {
    /// A fresh refresh token of `tenant`.
    pub fn generate(rng: &dyn Rng, tenant: &Slug) -> Self {
        Self::generate_of(Kind::Refresh, rng, tenant)
    }

    /// A fresh token of `tenant`.
    pub fn generate_of(kind: Kind, rng: &dyn Rng, tenant: &Slug) -> Self {
        let random: Zeroizing<[u8; RANDOM_BYTES]> = Zeroizing::new(rng::bytes(rng));
        // Sized at once: growing would leave a copy behind that nobody wipes.
        let mut text = String::with_capacity(MAX_LEN);
        text.push_str(kind.prefix());
        text.push_str(tenant.as_str());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(random.as_slice(), &mut text);
        Self { tenant: tenant.clone(), text: text.into() }
    }

    /// Parses what a client sent as a refresh token. Only the one canonical text of a token is accepted.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        Self::parse_of(Kind::Refresh, text)
    }

    /// Parses what a client sent as a token of this kind; one of another kind is none.
    pub fn parse_of(kind: Kind, text: &str) -> Result<Self, NotAToken> {
        if text.len() > MAX_LEN {
            return Err(NotAToken);
        }
        let (tenant, random) =
            text.strip_prefix(kind.prefix()).and_then(|rest| rest.split_once('.')).ok_or(NotAToken)?;
        let tenant = Slug::parse(tenant).map_err(|_| NotAToken)?;
        let decoded = URL_SAFE_NO_PAD.decode(random).map(Zeroizing::new).map_err(|_| NotAToken)?;
        if decoded.len() == RANDOM_BYTES { Ok(Self { tenant, text: text.into() }) } else { Err(NotAToken) }
    }

    /// The tenant that it says it is of. Proven by nothing but the look-up of its hash in that tenant.
    pub fn tenant(&self) -> &Slug {
        &self.tenant
    }

    /// The text to hand to the client.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// SHA-256 of the text: what the database holds.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.expose().as_bytes()).into()
    }

    /// Whether `hash` is the hash of this token, in constant time.
    pub fn matches(&self, hash: &[u8; 32]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

/// What the first half of a login keeps of the password's hash that it was verified against: enough to see that it is
/// another one by now, and worth nothing else (S68).
pub fn password_fingerprint(phc: Option<&str>) -> [u8; 32] {
    Sha256::digest(phc.unwrap_or_default().as_bytes()).into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::rng::OsRng;

    pub(in crate::crypto) fn fresh() -> OpaqueToken {
        OpaqueToken::generate(&OsRng, &Slug::parse("acme").unwrap())
    }

    #[test]
    fn a_generated_token_parses_to_itself_and_to_the_same_hash() {
        let token = fresh();
        let parsed = OpaqueToken::parse(token.expose()).unwrap();
        assert_eq!(parsed, token);
        assert_eq!(parsed.hash(), token.hash());
        assert!(token.matches(&parsed.hash()));
    }

    #[test]
    fn two_tokens_differ() {
        let (one, two) = (fresh(), fresh());
        assert_ne!(one, two);
        assert!(!one.matches(&two.hash()));
    }

    /// S68, S73: the half of a login is no refresh token, a device is neither, a mailed link and a browser session none of them.
    #[test]
    fn a_token_of_one_kind_is_none_of_another() {
        let kinds = [Kind::Refresh, Kind::Mfa, Kind::Device, Kind::Mail, Kind::Browser, Kind::Code];
        for made in kinds {
            let token = OpaqueToken::generate_of(made, &OsRng, &Slug::parse("acme").unwrap());
            assert!(token.expose().len() <= MAX_LEN && token.expose().starts_with(made.prefix()));
            for read in kinds {
                assert_eq!(
                    OpaqueToken::parse_of(read, token.expose()).is_ok(),
                    made == read,
                    "{made:?} {read:?}"
                );
            }
        }
    }

    /// S33
    #[test]
    fn a_token_leads_to_its_tenant_and_under_another_one_it_is_another_token() {
        let token = fresh();
        assert_eq!(token.tenant().as_str(), "acme");
        let moved = OpaqueToken::parse(&token.expose().replacen("acme", "evil", 1)).unwrap();
        assert_eq!(moved.tenant().as_str(), "evil");
        assert!(!token.matches(&moved.hash()));
        let longest = Slug::parse(&"a".repeat(63)).unwrap();
        let token = OpaqueToken::generate(&OsRng, &longest);
        assert_eq!(token.expose().len(), MAX_LEN);
        assert_eq!(OpaqueToken::parse(token.expose()).unwrap().tenant(), &longest);
    }

    #[test]
    fn anything_but_the_canonical_text_is_refused() {
        let token = fresh();
        let text = token.expose();
        let mut bad = vec![
            String::new(),
            "hjr_".to_owned(),
            "hjr_acme.".to_owned(),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            format!("{text}="),
            text.replacen("hjr_", "hjx_", 1),
            text.replacen("acme.", "", 1),
            text.replacen("acme", "", 1),
            text.replacen("acme", "ACME", 1),
            text.replacen("acme", "../x", 1),
            text.replacen("acme", &"a".repeat(64), 1),
            text.replacen("acme.", "acme..", 1),
            format!("{}+", &text[..text.len() - 1]),
            "hjr_".repeat(1_000_000),
        ];
        // 43 characters carry 258 bits; the two beyond 256 must be zero.
        let last = text.bytes().last().unwrap();
        let next = if last == b'8' { '9' } else { char::from(last + 1) };
        bad.push(format!("{}{next}", &text[..text.len() - 1]));
        for text in bad {
            assert_eq!(OpaqueToken::parse(&text).unwrap_err(), NotAToken);
        }
    }

    /// S111
    #[test]
    fn debug_does_not_show_the_token() {
        let token = fresh();
        assert!(!format!("{token:?}").contains(token.expose()));
    }
}
