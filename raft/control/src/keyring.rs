//! A set of signing keys and the JWKS that they make (RFC 7517 §5).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use imbl::OrdMap;
use serde::Serialize;

use crate::documents::{Activation, Alg, KeyState, NewKey, PublicJwk, SigningKey};
use crate::outcome::Reject;
use crate::validate::Findings;
use crate::{Kid, Timestamp, limits};

/// The keys of one issuer. The JWKS is rendered when the keys change, so that serving it costs nothing.
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: OrdMap<Kid, Arc<SigningKey>>,
    jwks: Bytes,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self::from_keys(OrdMap::new())
    }
}

#[derive(Serialize)]
struct Jwk<'a> {
    #[serde(flatten)]
    public: &'a PublicJwk,
    kid: &'a Kid,
    alg: Alg,
    #[serde(rename = "use")]
    usage: &'static str,
}

#[derive(Serialize)]
struct Jwks<'a> {
    keys: Vec<Jwk<'a>>,
}

fn render(keys: &OrdMap<Kid, Arc<SigningKey>>) -> Bytes {
    let keys = keys
        .values()
        .filter(|key| key.state != KeyState::Retired)
        .map(|key| Jwk { public: &key.public_jwk, kid: &key.kid, alg: key.alg, usage: "sig" })
        .collect();
    // Strings in a fixed structure always serialize; an empty body would be caught by every reader.
    serde_json::to_vec(&Jwks { keys }).map(Bytes::from).unwrap_or_default()
}

fn created(key: NewKey, at: Timestamp, state: KeyState, activation: Option<Activation>) -> SigningKey {
    SigningKey {
        kid: key.kid,
        alg: key.alg,
        public_jwk: key.public_jwk,
        private_key: key.private_key,
        state,
        not_before: activation.map_or(at, |a| a.not_before),
        activation,
        retire_at: None,
        created_at: at,
    }
}

impl KeyRing {
    pub(crate) fn from_keys(keys: OrdMap<Kid, Arc<SigningKey>>) -> Self {
        let jwks = render(&keys);
        Self { keys, jwks }
    }

    /// All keys, by kid.
    pub fn keys(&self) -> &OrdMap<Kid, Arc<SigningKey>> {
        &self.keys
    }

    /// The key of that id.
    pub fn get(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.keys.get(kid)
    }

    /// The key that signs with `alg` now.
    pub fn active(&self, alg: Alg) -> Option<&Arc<SigningKey>> {
        self.keys.values().find(|key| key.alg == alg && key.state == KeyState::Active)
    }

    /// The key that waits to sign with `alg`.
    pub fn next(&self, alg: Alg) -> Option<&Arc<SigningKey>> {
        self.keys.values().find(|key| key.alg == alg && key.state == KeyState::Next)
    }

    /// The keys that still verify but no longer sign.
    pub fn retiring(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        self.keys.values().filter(|key| key.state == KeyState::Retiring)
    }

    /// How many keys of the algorithm the JWKS has.
    pub fn published(&self, alg: Alg) -> usize {
        self.keys.values().filter(|key| key.alg == alg && key.state != KeyState::Retired).count()
    }

    /// Whether the set has no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The JWKS document (RFC 7517 §5): every key that is not retired, by kid.
    pub fn jwks(&self) -> &Bytes {
        &self.jwks
    }

    /// Algorithms that the set can sign with, in a fixed order.
    pub fn algs(&self) -> Vec<Alg> {
        Alg::ALL.into_iter().filter(|alg| self.active(*alg).is_some()).collect()
    }

    /// Notes what hinders the key from entering the set. A key never replaces another one under its kid: the
    /// other could be the one that signs.
    pub(crate) fn check_new(&self, key: &NewKey, field: &str, findings: &mut Findings) {
        key.check(field, findings);
        if self.keys.contains_key(&key.kid) {
            findings.add(format!("{field}.kid"), "duplicate", "is the kid of a key that exists already");
        }
    }

    pub(crate) fn with_active(&self, key: NewKey, at: Timestamp, grace_seconds: u32) -> Self {
        let alg = key.alg;
        let kid = key.kid.clone();
        let mut keys = self.keys.clone();
        keys.insert(kid.clone(), Arc::new(created(key, at, KeyState::Active, None)));
        demote_others(&mut keys, &kid, alg, at, grace_seconds);
        Self::from_keys(keys)
    }

    pub(crate) fn with_next(&self, key: NewKey, at: Timestamp, activation: Activation) -> Self {
        let mut keys = self.keys.clone();
        keys.insert(key.kid.clone(), Arc::new(created(key, at, KeyState::Next, Some(activation))));
        Self::from_keys(keys)
    }

    /// Makes a `next` key sign. Doing it twice is doing it once.
    pub(crate) fn activated(&self, kid: &Kid, at: Timestamp) -> Result<Self, Reject> {
        let key = self.keys.get(kid).ok_or(Reject::KeyNotFound)?;
        let activation = match (key.state, key.activation) {
            (KeyState::Active, _) => return Ok(self.clone()),
            (KeyState::Next, Some(activation)) => activation,
            (KeyState::Next | KeyState::Retiring | KeyState::Retired, _) => return Err(Reject::KeyNotFound),
        };
        if activation.not_before > at {
            return Err(Reject::NotDue { until: activation.not_before });
        }
        let mut keys = self.keys.clone();
        let active = SigningKey {
            state: KeyState::Active,
            not_before: at,
            activation: None,
            ..SigningKey::clone(key)
        };
        keys.insert(kid.clone(), Arc::new(active));
        demote_others(&mut keys, kid, key.alg, at, activation.grace_seconds);
        Ok(Self::from_keys(keys))
    }

    /// Takes a retiring key whose time has come out of the JWKS. Doing it twice is doing it once.
    pub(crate) fn retired(&self, kid: &Kid, at: Timestamp) -> Result<Self, Reject> {
        let key = self.keys.get(kid).ok_or(Reject::KeyNotFound)?;
        match (key.state, key.retire_at) {
            (KeyState::Retired, _) => return Ok(self.clone()),
            (KeyState::Retiring, Some(due)) if due <= at => {}
            (KeyState::Retiring, Some(due)) => return Err(Reject::NotDue { until: due }),
            // A key that is in use never leaves by clean-up.
            (KeyState::Next | KeyState::Active | KeyState::Retiring, _) => return Err(Reject::KeyNotFound),
        }
        let mut keys = self.keys.clone();
        let retired = SigningKey { state: KeyState::Retired, ..SigningKey::clone(key) };
        keys.insert(kid.clone(), Arc::new(retired));
        forget_old(&mut keys);
        Ok(Self::from_keys(keys))
    }
}

/// Every other key of the algorithm stops signing: the active one retires after the grace, one that was
/// still waiting goes at once, because nothing was ever signed with it.
fn demote_others(
    keys: &mut OrdMap<Kid, Arc<SigningKey>>,
    kid: &Kid,
    alg: Alg,
    at: Timestamp,
    grace_seconds: u32,
) {
    let retire_at = at.plus(Duration::from_secs(grace_seconds.into()));
    let others: Vec<Arc<SigningKey>> =
        keys.values().filter(|key| key.alg == alg && key.kid != *kid).cloned().collect();
    for key in others {
        let (state, retire_at) = match key.state {
            KeyState::Active if grace_seconds > 0 => (KeyState::Retiring, Some(retire_at)),
            KeyState::Active | KeyState::Next => (KeyState::Retired, Some(at)),
            KeyState::Retiring if grace_seconds == 0 => (KeyState::Retired, Some(at)),
            KeyState::Retiring | KeyState::Retired => continue,
        };
        let changed = SigningKey { state, retire_at, activation: None, ..SigningKey::clone(&key) };
        keys.insert(changed.kid.clone(), Arc::new(changed));
    }
    forget_old(keys);
}

/// Keeps the most recent retired keys as a record and forgets the rest.
fn forget_old(keys: &mut OrdMap<Kid, Arc<SigningKey>>) {
    let mut retired: Vec<(Timestamp, Kid)> = keys
        .values()
        .filter(|key| key.state == KeyState::Retired)
        .map(|key| (key.retire_at.unwrap_or(key.created_at), key.kid.clone()))
        .collect();
    retired.sort_unstable();
    let surplus = retired.len().saturating_sub(limits::RETIRED_KEYS);
    for (_, kid) in retired.into_iter().take(surplus) {
        keys.remove(&kid);
    }
}
