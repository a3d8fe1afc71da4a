//! Opened signing keys. A key is opened once per process (AES-GCM, PKCS#8, check of the public half) and then
//! found without a lock, so that a login pays for one signature and nothing else.
//!
//! Must never sign with a key whose document it was not handed: the caller's view says which key is active.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::documents::{Alg, SigningKey};
use hellojohn_control::{Kid, Slug};
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

use super::jwt::{AccessClaims, MAX_TOKEN_BYTES, TokenType};
use super::keys::{self, KeyError, PrivateKey};
use super::sealed::Sealer;

/// Why a token cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The token would be longer than verifiers accept.
    #[error(
        "the claims make a token of {0} bytes, more than the {MAX_TOKEN_BYTES} that verifiers accept; ask for fewer scopes or give the user fewer roles"
    )]
    TooLarge(usize),
    /// The claims are no JSON object or the key was refused.
    #[error("the token cannot be signed: {0}")]
    Refused(String),
}

/// An opened private key that signs. `Debug` shows no key material.
#[derive(Debug)]
pub struct SigningKeyHandle {
    kid: Kid,
    alg: Alg,
    key: PrivateKey,
}

impl SigningKeyHandle {
    /// The key id that goes into the header.
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The one algorithm of the key.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Signs an access token (spec §7).
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, SignError> {
        self.sign(TokenType::Access, claims)
    }

    /// Signs `claims`, which must serialise to a JSON object, as a compact JWS (RFC 7515 §3.1).
    pub fn sign<T: Serialize>(&self, typ: TokenType, claims: &T) -> Result<String, SignError> {
        let algorithm = match self.alg {
            Alg::EdDsa => Algorithm::EdDSA,
            Alg::Es256 => Algorithm::ES256,
            Alg::Rs256 => Algorithm::RS256,
        };
        let mut header = Header::new(algorithm);
        header.typ = Some(typ.as_str().to_owned());
        header.kid = Some(self.kid.as_str().to_owned());
        let mut token = String::new();
        append(&mut token, &header)?;
        token.push('.');
        append(&mut token, claims)?;
        let signature = self.key.sign(token.as_bytes()).map_err(refused)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        if token.len() > MAX_TOKEN_BYTES { Err(SignError::TooLarge(token.len())) } else { Ok(token) }
    }
}

/// Appends `part` as base64url of its JSON (RFC 7515 §7.1).
fn append<T: Serialize>(token: &mut String, part: &T) -> Result<(), SignError> {
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(part).map_err(refused)?, token);
    Ok(())
}

fn refused(error: impl std::fmt::Display) -> SignError {
    SignError::Refused(error.to_string())
}

/// A key is opened for a tenant: the same kid asked for by another tenant is another entry, and does not open.
type Opened = HashMap<(Option<Slug>, Kid), Arc<SigningKeyHandle>>;

/// Opens signing keys and remembers them. Reads take no lock; [`KeyOpener::prune`] bounds it to the keys that
/// exist.
#[derive(Debug)]
pub struct KeyOpener {
    sealer: Arc<Sealer>,
    opened: ArcSwap<Opened>,
}

impl KeyOpener {
    /// An opener under the signing master key.
    pub fn new(sealer: Arc<Sealer>) -> Self {
        Self { sealer, opened: ArcSwap::default() }
    }

    /// The handle of `key`, which belongs to `tenant` (`None`: the global set). Opens it at first use; a key
    /// that does not open is tried again next time, because the cure may be on its way.
    pub fn handle(&self, tenant: Option<&Slug>, key: &SigningKey) -> Result<Arc<SigningKeyHandle>, KeyError> {
        let place = (tenant.cloned(), key.kid.clone());
        if let Some(handle) = self.opened.load().get(&place) {
            return Ok(Arc::clone(handle));
        }
        let private = keys::open(&self.sealer, tenant, key)?;
        let handle = Arc::new(SigningKeyHandle { kid: key.kid.clone(), alg: key.alg, key: private });
        self.opened.rcu(|current| {
            let mut next = Opened::clone(current);
            next.insert(place.clone(), Arc::clone(&handle));
            next
        });
        Ok(handle)
    }

    /// Forgets every opened key for which `exists` says no. Call it when the view has changed.
    pub fn prune(&self, exists: &dyn Fn(Option<&Slug>, &Kid) -> bool) {
        let keep = |(tenant, kid): &(Option<Slug>, Kid)| exists(tenant.as_ref(), kid);
        if self.opened.load().keys().all(keep) {
            return;
        }
        self.opened.rcu(|current| {
            let mut next = Opened::clone(current);
            next.retain(|place, _| keep(place));
            next
        });
    }

    /// How many keys are open.
    pub fn len(&self) -> usize {
        self.opened.load().len()
    }

    /// Whether no key is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use hellojohn_control::Sealed;

    use super::super::keys::mint_eddsa;
    use super::super::keys::tests::{document, sealer};
    use super::*;
    use crate::domain::rng::OsRng;

    fn opener() -> KeyOpener {
        KeyOpener::new(Arc::new(sealer()))
    }

    #[test]
    fn a_key_is_opened_once() {
        let opener = opener();
        let key = document(mint_eddsa(&OsRng, &sealer(), None).unwrap());
        let first = opener.handle(None, &key).unwrap();
        // The second time the sealed value is not even looked at.
        let unreadable = SigningKey { private_key: Sealed::parse("GCMV1:0:x").unwrap(), ..key };
        let second = opener.handle(None, &unreadable).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(opener.len(), 1);
    }

    /// S47: being open for one tenant does not open a key for another.
    #[test]
    fn an_opened_key_is_not_handed_to_another_tenant() {
        let opener = opener();
        let (acme, evil) = (Slug::parse("acme").unwrap(), Slug::parse("evil").unwrap());
        let key = document(mint_eddsa(&OsRng, &sealer(), Some(&acme)).unwrap());
        opener.handle(Some(&acme), &key).unwrap();
        assert!(matches!(opener.handle(Some(&evil), &key), Err(KeyError::Open { .. })));
        assert!(matches!(opener.handle(None, &key), Err(KeyError::Open { .. })));
        assert_eq!(opener.len(), 1);
    }

    #[test]
    fn pruning_keeps_only_keys_that_exist() {
        let opener = opener();
        let keys = [(); 3].map(|()| document(mint_eddsa(&OsRng, &sealer(), None).unwrap()));
        for key in &keys {
            opener.handle(None, key).unwrap();
        }
        opener.prune(&|tenant, kid| tenant.is_none() && *kid == keys[1].kid);
        assert_eq!(opener.len(), 1);
        opener.prune(&|_, _| false);
        assert!(opener.is_empty());
    }

    #[test]
    fn threads_that_race_lose_no_key() {
        let opener = opener();
        let keys: Vec<_> = (0..8).map(|_| document(mint_eddsa(&OsRng, &sealer(), None).unwrap())).collect();
        std::thread::scope(|scope| {
            for key in &keys {
                let opener = &opener;
                scope.spawn(move || opener.handle(None, key).unwrap());
            }
        });
        assert_eq!(opener.len(), keys.len());
    }

    /// S111
    #[test]
    fn debug_of_a_handle_shows_no_key_material() {
        let key = document(mint_eddsa(&OsRng, &sealer(), None).unwrap());
        let handle = opener().handle(None, &key).unwrap();
        let shown = format!("{handle:?}");
        assert!(shown.contains("redacted") && shown.contains(key.kid.as_str()), "{shown}");
    }

    /// S38
    #[test]
    fn a_token_that_no_verifier_would_accept_is_not_signed() {
        let key = document(mint_eddsa(&OsRng, &sealer(), None).unwrap());
        let handle = opener().handle(None, &key).unwrap();
        let claims = serde_json::json!({"roles": vec!["r".repeat(64); 200]});
        assert!(matches!(handle.sign(TokenType::Access, &claims), Err(SignError::TooLarge(_))));
    }
}
