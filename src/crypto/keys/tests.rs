use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::Timestamp;
use hellojohn_control::documents::{KeyState, NewKey, PublicJwk};

use super::*;
use crate::domain::rng::OsRng;

const ALGS: [Alg; 3] = [Alg::EdDsa, Alg::Es256, Alg::Rs256];

pub(in crate::crypto) fn sealer() -> Sealer {
    Sealer::signing("a master key of thirty-two bytes!").unwrap()
}

pub(in crate::crypto) fn document(new: NewKey) -> SigningKey {
    SigningKey {
        kid: new.kid,
        alg: new.alg,
        public_jwk: new.public_jwk,
        private_key: new.private_key,
        state: KeyState::Active,
        not_before: Timestamp::from_secs(0),
        activation: None,
        retire_at: None,
        created_at: Timestamp::from_secs(0),
    }
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

/// A key of each kind, whose making costs something.
fn minted(tenant: Option<&Slug>, alg: Alg) -> SigningKey {
    document(mint(&OsRng, &sealer(), tenant, alg).unwrap())
}

#[test]
fn a_minted_key_opens_for_its_own_tenant() {
    let acme = slug("acme");
    for alg in ALGS {
        let key = minted(Some(&acme), alg);
        assert_eq!((key.kid.as_str().len(), key.alg), (22, alg));
        let private = open(&sealer(), Some(&acme), &key).unwrap();
        assert_eq!(private.public_jwk().unwrap(), key.public_jwk);
    }
}

/// RFC 8410 §7: version 1, OID 1.3.101.112, an octet string in an octet string, and nothing else.
#[test]
fn an_ed25519_key_is_kept_in_the_form_that_every_library_reads() {
    let key = minted(None, Alg::EdDsa);
    let der = sealer().open(&place(None, &key.kid), &key.private_key).unwrap();
    assert_eq!(der.expose().len(), 48);
    assert_eq!(&der.expose()[..16], b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20");
}

/// RFC 8037 §2; RFC 7518 §6.2.1 (coordinates in full length) and §6.3.1 (no leading zeros).
#[test]
fn the_public_jwk_has_the_form_of_its_kind() {
    let member =
        |jwk: &serde_json::Value, name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    for alg in ALGS {
        let jwk = serde_json::to_value(minted(None, alg).public_jwk).unwrap();
        let named: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        match alg {
            Alg::EdDsa => {
                assert_eq!((&jwk["kty"], &jwk["crv"]), (&"OKP".into(), &"Ed25519".into()));
                assert_eq!(named, ["crv", "kty", "x"]);
                assert_eq!(member(&jwk, "x").len(), 32);
            }
            Alg::Es256 => {
                assert_eq!((&jwk["kty"], &jwk["crv"]), (&"EC".into(), &"P-256".into()));
                assert_eq!(named, ["crv", "kty", "x", "y"]);
                assert_eq!((member(&jwk, "x").len(), member(&jwk, "y").len()), (32, 32));
            }
            Alg::Rs256 => {
                assert_eq!((&jwk["kty"], &jwk["e"]), (&"RSA".into(), &"AQAB".into()));
                assert_eq!(named, ["e", "kty", "n"]);
                let n = member(&jwk, "n");
                assert!(n.len() == 256 && n[0] >= 0x80, "2048 bits");
            }
        }
    }
}

/// S47: AAD = tenant + kid
#[test]
fn a_private_key_moved_to_another_tenant_or_kid_does_not_open() {
    let (acme, evil) = (slug("acme"), slug("evil"));
    for alg in ALGS {
        let key = minted(Some(&acme), alg);
        for tenant in [Some(&evil), None] {
            let error = open(&sealer(), tenant, &key).unwrap_err();
            assert_eq!(error, KeyError::Open { kid: key.kid.clone(), reason: OpenError::Damaged });
        }
        let other = minted(Some(&acme), alg);
        let swapped = SigningKey { private_key: other.private_key, ..key };
        assert!(matches!(open(&sealer(), Some(&acme), &swapped), Err(KeyError::Open { .. })));
    }
}

#[test]
fn a_private_key_that_does_not_belong_to_the_published_key_is_refused() {
    for alg in ALGS {
        let (key, other) = (minted(None, alg), minted(None, alg));
        let forged = SigningKey { public_jwk: other.public_jwk, ..key.clone() };
        assert_eq!(open(&sealer(), None, &forged).unwrap_err(), KeyError::Mismatch(key.kid));
    }
}

/// S36: the document says what a key is for, and its private half must be of that kind.
#[test]
fn a_sealed_value_that_is_no_key_of_its_kind_is_refused() {
    for alg in ALGS {
        let key = minted(None, alg);
        let refused = KeyError::NotPkcs8 { kid: key.kid.clone(), alg };
        assert!(refused.to_string().contains(alg.as_str()), "{refused}");
        let others = ALGS.into_iter().filter(|other| *other != alg).map(|other| {
            let other = minted(None, other);
            sealer().open(&place(None, &other.kid), &other.private_key).unwrap().expose().to_vec()
        });
        for der in others.chain([b"not a key".to_vec(), Vec::new()]) {
            let private_key = sealer().seal(&OsRng, &place(None, &key.kid), &der).unwrap();
            let damaged = SigningKey { private_key, ..key.clone() };
            assert_eq!(open(&sealer(), None, &damaged).unwrap_err(), refused);
        }
    }
}

/// Somebody else's library, with nothing but the public JWK, agrees with each kind of signature.
#[test]
fn each_kind_of_signature_verifies_with_its_public_half_alone() {
    for alg in ALGS {
        let (key, other) = (minted(None, alg), minted(None, alg));
        let private = open(&sealer(), None, &key).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(private.sign(b"a.b").unwrap());
        let with = |jwk: &PublicJwk, message: &str, signature: &str| {
            verifies(alg, members(alg, jwk).unwrap(), message, signature)
        };
        assert!(with(&key.public_jwk, "a.b", &signature));
        assert!(!with(&key.public_jwk, "a.c", &signature));
        assert!(!with(&other.public_jwk, "a.b", &signature));
        assert!(!with(&key.public_jwk, "a.b", &signature[1..]));
        assert!(!with(&key.public_jwk, "a.b", ""));
    }
}

/// S36
#[test]
fn a_public_half_of_another_kind_is_no_key_for_an_algorithm() {
    for alg in ALGS {
        let jwk = minted(None, alg).public_jwk;
        for other in ALGS {
            assert_eq!(members(other, &jwk).is_some(), other == alg);
        }
    }
    let curve = |crv: &str| PublicJwk::Okp { crv: crv.to_owned(), x: "AA".to_owned() };
    assert!(members(Alg::EdDsa, &curve("Ed448")).is_none());
    let curve = |crv: &str| PublicJwk::Ec { crv: crv.to_owned(), x: "AA".to_owned(), y: "AA".to_owned() };
    assert!(members(Alg::Es256, &curve("P-384")).is_none());
}

/// S111
#[test]
fn a_private_key_is_not_printed() {
    for alg in ALGS {
        let private = open(&sealer(), None, &minted(None, alg)).unwrap();
        assert_eq!(format!("{private:?}"), "PrivateKey([redacted])");
    }
}
