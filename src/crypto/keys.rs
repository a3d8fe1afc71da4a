//! Signing keys: minted and sealed on the leader before they are proposed, opened on every node.
//!
//! A private key travels as PKCS#8 DER (RFC 5958, RFC 8410), version 1 without the public half because every
//! library reads that form, sealed for the purpose `signing-key`, its tenant and its kid: a blob moved to
//! another tenant or another kid does not open (S47).
//!
//! Ed25519 only so far. Must never return or print an unsealed private key outside `crypto`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{SigningKey as Ed25519Key, VerifyingKey};
use hellojohn_control::documents::{Alg, NewKey, PublicJwk, SigningKey};
use hellojohn_control::{Kid, Slug};
use zeroize::Zeroizing;

use super::aead::CipherFailure;
use super::sealed::{Aad, OpenError, Purpose, SealError, Sealer};
use super::secret::SecretBytes;
use crate::domain::rng::{self, Rng};

const ED25519: &str = "Ed25519";

/// Why a signing key cannot be made, opened or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An algorithm that this release does not sign with.
    #[error("this release of hellojohn has no {} keys; choose EdDSA", .0.as_str())]
    UnsupportedAlg(Alg),
    /// Sealing failed.
    #[error("the new private key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The private key does not open.
    #[error("the private key of {kid} does not open: {reason}")]
    Open {
        /// The key.
        kid: Kid,
        /// What is wrong with its sealed value.
        reason: OpenError,
    },
    /// The private key opened but is not PKCS#8 of the algorithm.
    #[error(
        "the private key of {0} is not a PKCS#8 Ed25519 key; restore the key from a snapshot or rotate it"
    )]
    NotPkcs8(Kid),
    /// The private key opened but its public half is not the one that is published.
    #[error(
        "the private key of {0} does not belong to its public key; restore the key from a snapshot or rotate it"
    )]
    Mismatch(Kid),
    /// Encoding failed.
    #[error(transparent)]
    Cipher(#[from] CipherFailure),
}

/// Makes a key of the kind `alg` for `tenant`, or for the global set when there is none.
pub fn mint(rng: &dyn Rng, sealer: &Sealer, tenant: Option<&Slug>, alg: Alg) -> Result<NewKey, KeyError> {
    match alg {
        Alg::EdDsa => mint_eddsa(rng, sealer, tenant),
        Alg::Es256 | Alg::Rs256 => Err(KeyError::UnsupportedAlg(alg)),
    }
}

/// Makes an Ed25519 key for `tenant`, or for the global set when there is none.
pub fn mint_eddsa(rng: &dyn Rng, sealer: &Sealer, tenant: Option<&Slug>) -> Result<NewKey, KeyError> {
    let kid = Kid::parse(&URL_SAFE_NO_PAD.encode(rng::bytes::<16>(rng))).map_err(|_| CipherFailure)?;
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rng::bytes(rng));
    let public = Ed25519Key::from_bytes(&seed).verifying_key();
    let der =
        KeypairBytes { secret_key: *seed, public_key: None }.to_pkcs8_der().map_err(|_| CipherFailure)?;
    let private_key = sealer.seal(rng, &place(tenant, &kid), der.as_bytes())?;
    Ok(NewKey { kid, alg: Alg::EdDsa, public_jwk: public_jwk(&public), private_key })
}

/// Opens the private half of `key` as PKCS#8 DER and checks that it belongs to the published public half.
pub(super) fn open(
    sealer: &Sealer,
    tenant: Option<&Slug>,
    key: &SigningKey,
) -> Result<SecretBytes, KeyError> {
    match key.alg {
        Alg::EdDsa => {}
        Alg::Es256 | Alg::Rs256 => return Err(KeyError::UnsupportedAlg(key.alg)),
    }
    let der = sealer
        .open(&place(tenant, &key.kid), &key.private_key)
        .map_err(|reason| KeyError::Open { kid: key.kid.clone(), reason })?;
    let private =
        Ed25519Key::from_pkcs8_der(der.expose()).map_err(|_| KeyError::NotPkcs8(key.kid.clone()))?;
    if public_jwk(&private.verifying_key()) == key.public_jwk {
        Ok(der)
    } else {
        Err(KeyError::Mismatch(key.kid.clone()))
    }
}

/// The 32 bytes of an Ed25519 public key, or `None` when the JWK is another kind or malformed.
pub(super) fn ed25519_public(jwk: &PublicJwk) -> Option<[u8; 32]> {
    match jwk {
        PublicJwk::Okp { crv, x } if crv == ED25519 => URL_SAFE_NO_PAD.decode(x).ok()?.try_into().ok(),
        PublicJwk::Okp { .. } | PublicJwk::Ec { .. } | PublicJwk::Rsa { .. } => None,
    }
}

fn public_jwk(key: &VerifyingKey) -> PublicJwk {
    PublicJwk::Okp { crv: ED25519.to_owned(), x: URL_SAFE_NO_PAD.encode(key.as_bytes()) }
}

fn place<'a>(tenant: Option<&'a Slug>, kid: &'a Kid) -> Aad<'a> {
    Aad { purpose: Purpose::SigningKey, tenant, field: kid.as_str() }
}

#[cfg(test)]
pub(super) mod tests {
    use hellojohn_control::Timestamp;
    use hellojohn_control::documents::KeyState;

    use super::*;
    use crate::domain::rng::OsRng;

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

    #[test]
    fn a_minted_key_opens_for_its_own_tenant() {
        let acme = slug("acme");
        let key = document(mint_eddsa(&OsRng, &sealer(), Some(&acme)).unwrap());
        assert_eq!(key.kid.as_str().len(), 22);
        assert_eq!(key.alg, Alg::EdDsa);
        let der = open(&sealer(), Some(&acme), &key).unwrap();
        // RFC 8410 §7: version 1, OID 1.3.101.112, an octet string in an octet string, and nothing else.
        assert_eq!(der.expose().len(), 48);
        assert_eq!(&der.expose()[..16], b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20");
    }

    #[test]
    fn the_public_jwk_has_the_form_of_rfc_8037() {
        let key = mint_eddsa(&OsRng, &sealer(), None).unwrap();
        let json = serde_json::to_value(&key.public_jwk).unwrap();
        assert_eq!(json["kty"], "OKP");
        assert_eq!(json["crv"], "Ed25519");
        assert_eq!(URL_SAFE_NO_PAD.decode(json["x"].as_str().unwrap()).unwrap().len(), 32);
        assert!(json.get("d").is_none());
    }

    /// S47: AAD = tenant + kid
    #[test]
    fn a_private_key_moved_to_another_tenant_or_kid_does_not_open() {
        let (acme, evil) = (slug("acme"), slug("evil"));
        let key = document(mint_eddsa(&OsRng, &sealer(), Some(&acme)).unwrap());
        for tenant in [Some(&evil), None] {
            let error = open(&sealer(), tenant, &key).unwrap_err();
            assert_eq!(error, KeyError::Open { kid: key.kid.clone(), reason: OpenError::Damaged });
        }
        let other = document(mint_eddsa(&OsRng, &sealer(), Some(&acme)).unwrap());
        let swapped = SigningKey { private_key: other.private_key, ..key };
        assert!(matches!(open(&sealer(), Some(&acme), &swapped), Err(KeyError::Open { .. })));
    }

    #[test]
    fn a_private_key_that_does_not_belong_to_the_published_key_is_refused() {
        let key = document(mint_eddsa(&OsRng, &sealer(), None).unwrap());
        let other = mint_eddsa(&OsRng, &sealer(), None).unwrap();
        let forged = SigningKey { public_jwk: other.public_jwk, ..key.clone() };
        assert_eq!(open(&sealer(), None, &forged).unwrap_err(), KeyError::Mismatch(key.kid));
    }

    #[test]
    fn a_sealed_value_that_is_no_key_is_refused() {
        let mut key = document(mint_eddsa(&OsRng, &sealer(), None).unwrap());
        key.private_key = sealer().seal(&OsRng, &place(None, &key.kid), b"not a key").unwrap();
        assert_eq!(open(&sealer(), None, &key).unwrap_err(), KeyError::NotPkcs8(key.kid.clone()));
    }

    #[test]
    fn algorithms_of_a_later_release_are_refused_by_name() {
        for (alg, name) in [(Alg::Es256, "ES256"), (Alg::Rs256, "RS256")] {
            let error = mint(&OsRng, &sealer(), None, alg).unwrap_err();
            assert_eq!(error, KeyError::UnsupportedAlg(alg));
            assert!(error.to_string().contains(name) && error.to_string().contains("EdDSA"));
        }
        assert!(mint(&OsRng, &sealer(), None, Alg::EdDsa).is_ok());
    }
}
