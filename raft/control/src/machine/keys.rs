//! Signing keys: rotation, activation, retirement (spec §13.3).

use std::sync::Arc;
use std::time::Duration;

use super::{Machine, invalid};
use crate::command::KeyRef;
use crate::documents::{Activation, KeySet, NewKey, SigningKey};
use crate::outcome::{Outcome, Reject};
use crate::validate::Findings;
use crate::{Kid, Timestamp, limits};

/// How a rotation was asked for.
pub(super) struct Rotation {
    pub(super) grace_seconds: u32,
    pub(super) prepublish_seconds: u32,
    pub(super) activate_now: bool,
}

impl Machine {
    pub(super) fn ensure_global_keys(&mut self, keys: &[NewKey], at: Timestamp) -> Outcome {
        for key in keys {
            if self.state.global_keys.active(key.alg).is_none() {
                self.state.global_keys = self.state.global_keys.with_active(key.clone(), at, 0);
            }
        }
        Outcome::Keys { key: None, retiring: Vec::new() }
    }

    pub(super) fn rotate_keys(
        &mut self,
        set: &KeySet,
        key: &NewKey,
        rotation: &Rotation,
        at: Timestamp,
    ) -> Result<Outcome, Reject> {
        let mut findings = Findings::default();
        for (field, seconds) in
            [("graceSeconds", rotation.grace_seconds), ("prepublishSeconds", rotation.prepublish_seconds)]
        {
            if seconds > limits::GRACE_SECONDS {
                let max = limits::GRACE_SECONDS;
                findings.add(field, "out_of_range", format!("must be at most {max} seconds"));
            }
        }
        findings.into_result().map_err(invalid)?;
        let ring = self.ring(set)?;
        if *set != KeySet::Global && ring.is_empty() {
            return Err(Reject::IssuerModeGlobal);
        }
        let rotated = if rotation.activate_now {
            ring.with_active(key.clone(), at, rotation.grace_seconds)
        } else {
            if let Some(pending) = ring.next(key.alg) {
                return Err(Reject::RotationPending { kid: pending.kid.clone() });
            }
            let not_before = at.plus(Duration::from_secs(rotation.prepublish_seconds.into()));
            ring.with_next(key.clone(), at, Activation { not_before, grace_seconds: rotation.grace_seconds })
        };
        self.store_ring(set, rotated)?;
        self.keys_outcome(set, &key.kid)
    }

    pub(super) fn activate_key(&mut self, set: &KeySet, kid: &Kid, at: Timestamp) -> Result<Outcome, Reject> {
        let activated = self.ring(set)?.activated(kid, at)?;
        self.store_ring(set, activated)?;
        self.keys_outcome(set, kid)
    }

    /// Retires every key of the list that may retire. A key or tenant that went in the meantime is no error:
    /// what was asked for holds.
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
