//! Signing keys: rotation, activation, retirement (spec §13.3).

use std::sync::Arc;
use std::time::Duration;

use super::{Machine, invalid, limit};
use crate::command::KeyRef;
use crate::documents::{Activation, KeySet, NewKey, SigningKey};
use crate::keyring::KeyRing;
use crate::outcome::{Outcome, Reject};
use crate::state::Global;
use crate::validate::Findings;
use crate::{Kid, Timestamp, limits};

/// How a rotation was asked for.
pub(super) struct Rotation {
    pub(super) grace_seconds: u32,
    pub(super) prepublish_seconds: u32,
    pub(super) activate_now: bool,
}

impl Machine {
    pub(super) fn ensure_global_keys(&mut self, keys: &[NewKey], at: Timestamp) -> Result<Outcome, Reject> {
        for (i, key) in keys.iter().enumerate() {
            let ring = self.state.global.keys();
            if ring.active(key.alg).is_none() {
                checked(ring, key, &format!("keys[{i}]"))?;
                let ring = ring.with_active(key.clone(), at, 0);
                self.state.global = Global::new(&self.issuer, ring);
            }
        }
        Ok(Outcome::Keys { key: None, retiring: Vec::new() })
    }

    pub(super) fn rotate_keys(
        &mut self,
        set: &KeySet,
        key: &NewKey,
        rotation: &Rotation,
        at: Timestamp,
    ) -> Result<Outcome, Reject> {
        let mut findings = Findings::default();
        findings.at_most_seconds("graceSeconds", rotation.grace_seconds, limits::GRACE_SECONDS);
        findings.at_most_seconds("prepublishSeconds", rotation.prepublish_seconds, limits::GRACE_SECONDS);
        findings.into_result().map_err(invalid)?;
        let ring = self.ring(set)?;
        if *set != KeySet::Global && ring.is_empty() {
            return Err(Reject::IssuerModeGlobal);
        }
        checked(ring, key, "key")?;
        let rotated = if rotation.activate_now {
            ring.with_active(key.clone(), at, rotation.grace_seconds)
        } else {
            if let Some(pending) = ring.next(key.alg) {
                return Err(Reject::RotationPending { kid: pending.kid.clone() });
            }
            let not_before = at.plus(Duration::from_secs(rotation.prepublish_seconds.into()));
            ring.with_next(key.clone(), at, Activation { not_before, grace_seconds: rotation.grace_seconds })
        };
        if rotated.published(key.alg) > limits::PUBLISHED_KEYS {
            return Err(limit("published keys of an algorithm", limits::PUBLISHED_KEYS));
        }
        self.store_ring(set, rotated)?;
        self.keys_outcome(set, &key.kid)
    }

    pub(super) fn activate_key(&mut self, set: &KeySet, kid: &Kid, at: Timestamp) -> Result<Outcome, Reject> {
        let activated = self.ring(set)?.activated(kid, at)?;
        self.store_ring(set, activated)?;
        self.keys_outcome(set, kid)
    }

    /// Retires the keys of the list; if one of them is not due, none. A key or tenant that went in the
    /// meantime is no error: what was asked for holds.
    pub(super) fn retire_keys(&mut self, keys: &[KeyRef], at: Timestamp) -> Result<Outcome, Reject> {
        for key in keys {
            let retired = self.ring(&key.set).and_then(|ring| ring.retired(&key.kid, at));
            match retired {
                Ok(ring) => self.store_ring(&key.set, ring)?,
                Err(Reject::TenantNotFound | Reject::KeyNotFound) => {}
                Err(reject) => return Err(reject),
            }
        }
        Ok(Outcome::Keys { key: None, retiring: Vec::new() })
    }

    fn keys_outcome(&self, set: &KeySet, kid: &Kid) -> Result<Outcome, Reject> {
        let ring = self.ring(set)?;
        let retiring: Vec<Arc<SigningKey>> = ring.retiring().cloned().collect();
        Ok(Outcome::Keys { key: ring.get(kid.as_str()).cloned(), retiring })
    }
}

/// Refuses a key that may not enter the set.
pub(super) fn checked(ring: &KeyRing, key: &NewKey, field: &str) -> Result<(), Reject> {
    let mut findings = Findings::default();
    ring.check_new(key, field, &mut findings);
    findings.into_result().map_err(invalid)
}
