//! Attacks on the verifier (S36 to S39): each must fail, for its own reason. `form` has those on the text of
//! a token.

mod form;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::documents::{Alg, KeyState, SigningKey};
use hellojohn_control::{Kid, Timestamp};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::crypto::keys::mint;
use crate::crypto::keys::tests::{document, sealer};
use crate::crypto::signer::{KeyOpener, SigningKeyHandle};
use crate::domain::rng::OsRng;

const NOW: i64 = 1_795_305_600;
const ISSUER: &str = "https://id.example";
const EXPECT: Expect<'static> =
    Expect { issuer: ISSUER, audience: Some("https://api.example"), tenant: Some("acme") };

struct Issuer {
    key: SigningKey,
    handle: Arc<SigningKeyHandle>,
}

const ALGS: [Alg; 3] = [Alg::EdDsa, Alg::Es256, Alg::Rs256];

fn issuer() -> Issuer {
    issuer_of(Alg::EdDsa)
}

fn issuer_of(alg: Alg) -> Issuer {
    let key = document(mint(&OsRng, &sealer(), None, alg).unwrap());
    let handle = KeyOpener::new(Arc::new(sealer())).handle(None, &key).unwrap();
    Issuer { key, handle }
}

impl Issuer {
    fn verify_with(&self, token: &str, expect: &Expect<'_>) -> Result<AccessClaims, TokenError> {
        let find = |kid: &Kid| Some(&self.key).filter(|key| key.kid == *kid);
        Unverified::parse(token).and_then(|t| t.verify(&keys_of(find), Timestamp::from_secs(NOW), expect))
    }

    fn verify(&self, token: &str) -> Result<AccessClaims, TokenError> {
        self.verify_with(token, &EXPECT)
    }

    /// A token with a valid signature over whatever text.
    fn sign_raw(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let private = crate::crypto::keys::open(&sealer(), None, &self.key).unwrap();
        let signature = private.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        json!({"alg": self.key.alg, "kid": self.key.kid, "typ": "at+jwt"})
    }

    fn sign_claims(&self, claims: &Value) -> String {
        self.sign_raw(&self.header().to_string(), &claims.to_string())
    }
}

fn b64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn claims() -> AccessClaims {
    AccessClaims {
        iss: ISSUER.into(),
        sub: "u1".into(),
        aud: vec!["https://api.example".into()],
        client_id: "web".into(),
        azp: Some("web".into()),
        scope: "openid profile:read".into(),
        tid: "acme".into(),
        sid: Some("s1".into()),
        exp: NOW + 900,
        iat: NOW,
        nbf: NOW,
        jti: "j1".into(),
        amr: vec!["pwd".into()],
        acr: Some("loa:1".into()),
        roles: Vec::new(),
        permissions: Vec::new(),
        custom: None,
    }
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = serde_json::to_value(claims()).unwrap();
    claims[name] = value;
    claims
}

#[test]
fn a_signed_token_verifies_to_the_same_claims() {
    let mut claims = claims();
    claims.aud.push("other".into());
    claims.roles = vec!["sys:admin".into()];
    claims.custom = json!({"urn:hellojohn:sys": {"is_admin": true}}).as_object().cloned();
    for alg in ALGS {
        let issuer = issuer_of(alg);
        let token = issuer.handle.sign_access(&claims).unwrap();
        assert_eq!(issuer.verify(&token).unwrap(), claims);
    }
    assert!(claims.has_scope("profile:read") && !claims.has_scope("profile"));
}

#[test]
fn one_audience_is_written_as_a_string_and_absent_claims_not_at_all() {
    let json = serde_json::to_value(claims()).unwrap();
    assert_eq!(json["aud"], "https://api.example");
    assert!(json.get("roles").is_none() && json.get("custom").is_none());
}

#[test]
fn an_unverified_token_tells_which_key_set_to_use_and_shows_nothing() {
    let issuer = issuer();
    let token = issuer.handle.sign_access(&claims()).unwrap();
    let unverified = Unverified::parse(&token).unwrap();
    assert_eq!((unverified.iss(), unverified.tid()), (ISSUER, "acme"));
    assert_eq!(format!("{unverified:?}"), "Unverified { .. }");
    assert_eq!(Unverified::parse("hjr_abc").unwrap_err(), TokenError::Malformed);
    assert_eq!(Unverified::parse(&"a".repeat(MAX_TOKEN_BYTES + 1)).unwrap_err(), TokenError::TooLarge);
}

/// S36
#[test]
fn alg_none_is_refused() {
    let issuer = issuer();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let mut header = issuer.header();
        header["alg"] = alg.into();
        let message = format!("{}.{}", b64(&header.to_string()), b64(&json!(claims()).to_string()));
        assert_eq!(issuer.verify(&format!("{message}.")).unwrap_err(), TokenError::Malformed);
        assert_eq!(issuer.verify(&format!("{message}.AAAA")).unwrap_err(), TokenError::WrongAlgorithm);
        let signed = issuer.sign_raw(&header.to_string(), &json!(claims()).to_string());
        assert_eq!(issuer.verify(&signed).unwrap_err(), TokenError::WrongAlgorithm);
    }
}

/// S36: whatever of a public key an attacker takes for a secret.
#[test]
fn hs256_with_the_public_key_as_secret_is_refused() {
    for issuer in ALGS.map(issuer_of) {
        let jwk = serde_json::to_value(&issuer.key.public_jwk).unwrap();
        let members = jwk.as_object().unwrap().values().map(|value| value.as_str().unwrap());
        let decoded = members.filter_map(|text| URL_SAFE_NO_PAD.decode(text).ok());
        for secret in decoded.chain([jwk.to_string().into_bytes()]) {
            let mut header = Header::new(jsonwebtoken::Algorithm::HS256);
            header.typ = Some("at+jwt".into());
            header.kid = Some(issuer.key.kid.to_string());
            let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
            assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::WrongAlgorithm);
            // The same signature under a header that names the key's own algorithm.
            let (_, rest) = token.split_once('.').unwrap();
            let relabelled = format!("{}.{rest}", b64(&issuer.header().to_string()));
            assert_eq!(issuer.verify(&relabelled).unwrap_err(), TokenError::Signature);
        }
    }
}

/// S36
#[test]
fn another_asymmetric_algorithm_than_the_keys_is_refused() {
    for issuer in ALGS.map(issuer_of) {
        let own = issuer.key.alg.as_str();
        for alg in ["EdDSA", "RS256", "ES256", "PS256", "RS512", "Ed25519", "eddsa", "EdDSA "] {
            let mut header = issuer.header();
            header["alg"] = alg.into();
            let token = issuer.sign_raw(&header.to_string(), &json!(claims()).to_string());
            let expected = if alg == own { Ok(()) } else { Err(TokenError::WrongAlgorithm) };
            assert_eq!(issuer.verify(&token).map(drop), expected, "{alg}");
        }
    }
}

/// S36: a signature of one kind of key under the kid of another.
#[test]
fn a_signature_of_another_kind_of_key_is_refused() {
    let issuers = ALGS.map(issuer_of);
    for (i, named) in issuers.iter().enumerate() {
        for other in issuers.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other) {
            let token = other.sign_raw(&named.header().to_string(), &json!(claims()).to_string());
            assert_eq!(named.verify(&token).unwrap_err(), TokenError::Signature);
        }
    }
}

/// S37: also when the attacker names the victim's kid.
#[test]
fn the_key_of_another_tenant_is_refused() {
    let (acme, evil) = (issuer(), issuer());
    let token = evil.handle.sign_access(&claims()).unwrap();
    assert_eq!(acme.verify(&token).unwrap_err(), TokenError::UnknownKey);
    let token = evil.sign_raw(&acme.header().to_string(), &json!(claims()).to_string());
    assert_eq!(acme.verify(&token).unwrap_err(), TokenError::Signature);
}

/// S37
#[test]
fn another_issuer_audience_or_tenant_is_refused() {
    let issuer = issuer();
    let token = issuer.handle.sign_access(&claims()).unwrap();
    for iss in ["https://id.example/", "https://id.example/t/acme", "http://id.example", ""] {
        let expect = Expect { issuer: iss, ..EXPECT };
        assert_eq!(issuer.verify_with(&token, &expect).unwrap_err(), TokenError::WrongIssuer, "{iss}");
    }
    let expect = Expect { audience: Some("https://api.example/"), ..EXPECT };
    assert_eq!(issuer.verify_with(&token, &expect).unwrap_err(), TokenError::WrongAudience);
    let expect = Expect { tenant: Some("acm"), ..EXPECT };
    assert_eq!(issuer.verify_with(&token, &expect).unwrap_err(), TokenError::WrongTenant);
    let expect = Expect { issuer: ISSUER, audience: None, tenant: None };
    assert!(issuer.verify_with(&token, &expect).is_ok());
}

/// S36: an ID token, an MFA token or a logout token is no access token.
#[test]
fn another_type_of_token_is_refused() {
    let issuer = issuer();
    let id_token = issuer.handle.sign(TokenType::Id, &claims()).unwrap();
    assert_eq!(issuer.verify(&id_token).unwrap_err(), TokenError::WrongType);
    for typ in ["logout+jwt", "mfa+jwt", "application/at+jwt", "AT+JWT", ""] {
        let mut header = issuer.header();
        header["typ"] = typ.into();
        let token = issuer.sign_raw(&header.to_string(), &json!(claims()).to_string());
        assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::WrongType, "{typ}");
    }
    assert_eq!(issuer.verify("hjr_refresh-token").unwrap_err(), TokenError::Malformed);
}

/// S39
#[test]
fn times_are_checked_with_the_documented_skew() {
    let issuer = issuer();
    let verdict =
        |name, value: i64| issuer.verify(&issuer.sign_claims(&with(name, value.into()))).map(|_| ());
    for exp in [i64::MIN, -1, 0, NOW - 1, NOW] {
        assert_eq!(verdict("exp", exp), Err(TokenError::Expired), "{exp}");
    }
    assert_eq!(verdict("exp", NOW + 1), Ok(()));
    for name in ["nbf", "iat"] {
        assert_eq!(verdict(name, NOW + SKEW_SECS), Ok(()));
        assert_eq!(verdict(name, NOW + SKEW_SECS + 1), Err(TokenError::NotYetValid));
        assert_eq!(verdict(name, i64::MAX), Err(TokenError::NotYetValid));
    }
}

/// S46: verifiable while published, refused afterwards.
#[test]
fn a_key_verifies_in_every_state_but_retired() {
    let mut issuer = issuer();
    let token = issuer.handle.sign_access(&claims()).unwrap();
    for (state, good) in [
        (KeyState::Next, true),
        (KeyState::Active, true),
        (KeyState::Retiring, true),
        (KeyState::Retired, false),
    ] {
        issuer.key.state = state;
        assert_eq!(issuer.verify(&token).is_ok(), good, "{state:?}");
    }
}

/// S36: a document whose public half is not one for its algorithm verifies nothing.
#[test]
fn a_key_that_does_not_fit_its_algorithm_is_refused() {
    let issuer = issuer();
    for alg in [Alg::Es256, Alg::Rs256] {
        let mut header = issuer.header();
        header["alg"] = alg.as_str().into();
        let token = issuer.sign_raw(&header.to_string(), &json!(claims()).to_string());
        let keys = |_: &Kid| Some((alg, issuer.key.public_jwk.clone()));
        let verdict =
            Unverified::parse(&token).and_then(|t| t.verify(&keys, Timestamp::from_secs(NOW), &EXPECT));
        assert_eq!(verdict.unwrap_err(), TokenError::UnfitKey);
    }
}

/// A stock implementation accepts what we sign: another library, and only the public JWK.
#[test]
fn an_independent_verifier_accepts_our_signature() {
    let issuer = issuer();
    let token = issuer.handle.sign_access(&claims()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let jwk = serde_json::to_value(&issuer.key.public_jwk).unwrap();
    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap().try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&public).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    key.verify_strict(message.as_bytes(), &signature).unwrap();
}
