//! Rotation of signing keys (spec §13.3), and the leader's duties around their life.

use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::documents::{Alg, KeySet, NewKey, SigningKey};
use hellojohn_control::format::OIDC_FORMAT;
use hellojohn_control::{Command, KeyRef, Outcome, Reject, Slug, Timestamp};
use serde::Deserialize;

use super::{ControlService, errors, origin, unexpected};
use crate::cluster::{Origin, ProposeError, Written};
use crate::service::{Code, Error, Result, WriteContext};

/// When a new key starts to sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activate {
    /// When every node that answers has it, and its pre-publication is over.
    #[default]
    WhenVisible,
    /// At once, after a compromise.
    Now,
}

/// How keys are to be rotated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation {
    /// Seconds that the replaced key stays published.
    pub grace_seconds: Option<u32>,
    /// Seconds that the new key is published before it signs.
    pub prepublish_seconds: u32,
    /// When the new key starts to sign.
    pub activate: Activate,
    /// Of which algorithm; EdDSA unless set.
    pub alg: Option<Alg>,
}

/// What a rotation did.
#[derive(Debug)]
pub struct Rotated {
    /// The new key.
    pub key: Arc<SigningKey>,
    /// The keys that still verify but no longer sign.
    pub retiring: Vec<Arc<SigningKey>>,
    /// Log index of the last write.
    pub index: u64,
}

/// How long the nodes get to see a new key before it signs.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// Keys that one command retires: it must fit into an entry.
const RETIRED_AT_ONCE: usize = 1_000;
/// Keys that a run of the leader's job makes: the next run goes on.
const MADE_AT_ONCE: usize = 8;
/// How long a rotation, or the making of a key, waits for the one before it.
const TURN: Duration = Duration::from_secs(10);

impl ControlService {
    /// Adds a key to the set and, unless it is to be pre-published, makes it sign.
    ///
    /// # Errors
    /// `tenant_not_found`, `issuer_mode_global`, `rotation_pending`, `validation_failed`, and the cluster's
    /// refusals. When the activation fails after the key was added, a leader's job finishes it.
    pub async fn rotate_keys(
        &self,
        context: &WriteContext,
        set: KeySet,
        rotation: Rotation,
    ) -> Result<Rotated> {
        let alg = rotation.alg.unwrap_or(Alg::EdDsa);
        let turn = tokio::time::timeout(TURN, self.rotations.acquire()).await;
        let Ok(Ok(_permit)) = turn else {
            return Err(Error::busy(self.defaults.retry_after));
        };
        let tenant = match &set {
            KeySet::Global => None,
            KeySet::Tenant(slug) => Some(slug.clone()),
        };
        let key = self.mint_key(tenant.as_ref(), alg).await?;
        let kid = key.kid.clone();
        let command = Command::RotateKeys {
            set: set.clone(),
            key,
            grace_seconds: rotation.grace_seconds.unwrap_or(self.defaults.grace_seconds),
            prepublish_seconds: rotation.prepublish_seconds,
            activate_now: rotation.activate == Activate::Now,
        };
        let added = self.write(context, command).await.map_err(|e| self.refused(e))?;
        if added.replayed {
            return self.as_it_is_now(&set, rotated(added)?);
        }
        if rotation.activate == Activate::Now || rotation.prepublish_seconds > 0 {
            return rotated(added);
        }
        self.plane.wait_applied_everywhere(added.index, VISIBLE_WITHIN).await;
        let command = Command::ActivateKey { set: set.clone(), kid };
        // Not under the caller's key: that is the rotation's.
        match self.propose(&origin(context), command).await {
            Ok(activated) => rotated(activated),
            // The rotation is in the log, and another leader carries it on. "Nothing was written" would be wrong, and
            // whoever believed it would rotate again.
            Err(
                ProposeError::NotLeader { .. } | ProposeError::Unavailable | ProposeError::OutcomeUnknown,
            ) => self.as_it_is_now(&set, rotated(added)?),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// A rotation that was done before, with its key as it is now. One that did not get as far as signing is carried on by
    /// the leader's job.
    fn as_it_is_now(&self, set: &KeySet, rotated: Rotated) -> Result<Rotated> {
        let view = self.plane.view();
        let ring = view.keys(set).ok_or_else(|| Error::new(Code::TenantNotFound))?;
        let key = ring.get(rotated.key.kid.as_str()).cloned().unwrap_or(rotated.key);
        Ok(Rotated { key, retiring: ring.retiring().cloned().collect(), index: rotated.index })
    }

    /// What every node owes the keys, and the leader besides. Idempotent.
    ///
    /// # Errors
    /// The first refusal; the next run tries again.
    pub async fn tend_keys(&self, now: Timestamp) -> Result<()> {
        let kept = self.keep_master_keys().await;
        self.lead_keys(now).await.and(kept)
    }

    /// Binds this node's disk to its master keys, when what is sealed shows that they are the cluster's.
    async fn keep_master_keys(&self) -> Result<()> {
        if self.plane.master_keys_kept() || !self.sealing.sealed_all_of(&self.plane.view()) {
            return Ok(());
        }
        self.plane.keep_master_keys().await.map_err(Error::internal)
    }

    /// What the leader owes the keys: the global ones exist, intents are carried out, graces end. Does
    /// nothing on other nodes.
    async fn lead_keys(&self, now: Timestamp) -> Result<()> {
        if self.plane.may_write().is_err() {
            return Ok(());
        }
        let system = Origin::system("job-keys");
        self.make_missing_keys(&system).await?;
        let view = self.plane.view();
        let mut due = view.pending_activations();
        due.retain(|(_, activation)| activation.not_before <= now);
        self.finish_activations(&system, view.applied_index(), due.into_iter().map(|(key, _)| key)).await?;
        for keys in view.due_retirements(now).chunks(RETIRED_AT_ONCE) {
            let command = Command::RetireKeys { keys: keys.to_vec() };
            self.propose(&system, command).await.map_err(|e| self.refused(e))?;
        }
        Ok(())
    }

    /// Makes keys that somebody has chosen an algorithm for. The first ones of the installation sign at once, because nothing is
    /// signed without them; those of a tenant by an ordinary rotation, so that every node knows them first.
    async fn make_missing_keys(&self, system: &Origin) -> Result<()> {
        let view = self.plane.view();
        if view.formation().is_none() {
            return Ok(());
        }
        let missing = view.missing_keys(MADE_AT_ONCE).into_iter();
        for (set, alg) in missing.filter(|(_, alg)| known_to_all(*alg, view.format())) {
            let command = match set {
                KeySet::Global => Command::EnsureGlobalKeys { keys: vec![self.mint_key(None, alg).await?] },
                KeySet::Tenant(slug) => Command::RotateKeys {
                    key: self.mint_key(Some(&slug), alg).await?,
                    set: KeySet::Tenant(slug),
                    grace_seconds: self.defaults.grace_seconds,
                    prepublish_seconds: 0,
                    activate_now: false,
                },
            };
            match self.propose(system, command).await {
                // Somebody was faster, or nobody needs it any more.
                Ok(_)
                | Err(ProposeError::Rejected(
                    Reject::RotationPending { .. } | Reject::TenantNotFound | Reject::IssuerModeGlobal,
                )) => {}
                Err(error) => return Err(self.refused(error)),
            }
        }
        Ok(())
    }

    /// Carries out intents that a leader before this one, or a request that failed, has left. The nodes get
    /// the same time to see the keys as in a request: a new leader knows nothing of what they have seen.
    async fn finish_activations(
        &self,
        system: &Origin,
        index: u64,
        keys: impl ExactSizeIterator<Item = KeyRef>,
    ) -> Result<()> {
        if keys.len() == 0 {
            return Ok(());
        }
        // A request may be in the middle of this very rotation; it finishes it itself.
        let Ok(_permit) = self.rotations.try_acquire() else { return Ok(()) };
        self.plane.wait_applied_everywhere(index, VISIBLE_WITHIN).await;
        for key in keys {
            self.finish_activation(system, key).await?;
        }
        Ok(())
    }

    async fn finish_activation(&self, system: &Origin, key: KeyRef) -> Result<()> {
        let command = Command::ActivateKey { set: key.set, kid: key.kid };
        match self.propose(system, command).await {
            // Gone or done in the meantime: what was asked for holds.
            Ok(_) | Err(ProposeError::Rejected(Reject::KeyNotFound | Reject::TenantNotFound)) => Ok(()),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// A new signing key. RSA keys take a good part of a second to find, so they are made on a thread that nobody waits for, one
    /// at a time.
    ///
    /// # Errors
    /// `node_failed` where the key that signs now is sealed with another master key than this node's: no other node would open
    /// the new one; `upgrade_pending` for an algorithm that a member of the cluster does not know; `busy`.
    pub(super) async fn mint_key(&self, tenant: Option<&Slug>, alg: Alg) -> Result<NewKey> {
        let view = self.plane.view();
        if self.sealing.is_foreign_to(&view) {
            return Err(Error::fatal("keys are sealed with another SIGNING_MASTER_KEY than this node's")
                .detail("this node does not open the cluster's keys and makes none; see its /readyz"));
        }
        check_known_to_all(alg, view.format())?;
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.minting).acquire_owned()).await;
        let Ok(Ok(permit)) = turn else {
            return Err(Error::busy(self.defaults.retry_after));
        };
        let (sealing, tenant) = (self.sealing.clone(), tenant.cloned());
        let minted = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            sealing.mint_key(tenant.as_ref(), alg)
        });
        minted.await.map_err(Error::internal)?.map_err(errors::unsealable)
    }

    /// The keys of a set, by kid.
    ///
    /// # Errors
    /// `tenant_not_found`.
    pub fn keys(&self, set: &KeySet) -> Result<Vec<Arc<SigningKey>>> {
        let view = self.plane.view();
        let ring = view.keys(set).ok_or_else(|| Error::new(Code::TenantNotFound))?;
        Ok(ring.keys().values().cloned().collect())
    }
}

/// Whether every member of a cluster of this format verifies with `alg`: before OpenID Connect there was EdDSA alone.
fn known_to_all(alg: Alg, format: u16) -> bool {
    alg == Alg::EdDsa || format >= OIDC_FORMAT
}

/// # Errors
/// `upgrade_pending` for an algorithm that a member of the cluster does not know.
pub(super) fn check_known_to_all(alg: Alg, format: u16) -> Result<()> {
    if known_to_all(alg, format) {
        Ok(())
    } else {
        Err(errors::rejected(Reject::UpgradePending { needed: OIDC_FORMAT, format }))
    }
}

fn rotated(written: Written) -> Result<Rotated> {
    match written.outcome {
        Outcome::Keys { key: Some(key), retiring } => Ok(Rotated { key, retiring, index: written.index }),
        other => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node of the release before verifies EdDSA alone: it would refuse what others sign.
    #[test]
    fn other_algorithms_wait_for_the_upgrade_of_every_node() {
        for format in [OIDC_FORMAT - 1, OIDC_FORMAT] {
            for alg in Alg::ALL {
                let code = check_known_to_all(alg, format).map_err(|error| error.code());
                let waits = alg != Alg::EdDsa && format < OIDC_FORMAT;
                assert_eq!(code, if waits { Err(Code::UpgradePending) } else { Ok(()) }, "{alg:?} {format}");
            }
        }
    }
}
