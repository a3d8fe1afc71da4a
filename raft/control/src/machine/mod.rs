//! The machine: applies commands to the state. Pure and deterministic; the same log gives the same state.

mod clients;
mod cluster;
mod keys;
mod tenants;

use std::sync::Arc;

use crate::Slug;
use crate::audit::{self, AUDIT_FORMAT};
use crate::command::Command;
use crate::documents::KeySet;
use crate::envelope::{Batch, Envelope, Precondition};
use crate::format::{UnknownVersion, check_version};
use crate::image::{Image, ImageError};
use crate::keyring::KeyRing;
use crate::outcome::{Outcome, Reject};
use crate::state::{Global, State, TenantEntry};
use crate::view::{Issuer, View};

/// A member cannot apply an entry: it must stop, never skip (spec §2.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The entry was written by a newer release.
    #[error(transparent)]
    UnknownVersion(#[from] UnknownVersion),
}

/// The control plane's state and the means to change it.
#[derive(Debug)]
pub struct Machine {
    state: State,
    issuer: Arc<Issuer>,
}

impl Machine {
    /// An empty machine. `issuer` is where rendered documents say they come from; it is no part of the state.
    pub fn new(issuer: Issuer) -> Self {
        Self { state: State::new(&issuer), issuer: Arc::new(issuer) }
    }

    /// Replaces the state by that of an image, checking it whole before anything changes.
    pub fn install(&mut self, image: Image) -> Result<(), ImageError> {
        self.state = image.into_state(&self.issuer)?;
        Ok(())
    }

    /// What a snapshot holds. Cheap: the state is shared, not copied.
    pub fn image(&self) -> Image {
        Image::of(&self.state)
    }

    /// A read model of the state after the entry at `applied_index`.
    pub fn view(&self, applied_index: u64) -> View {
        View::new(self.state.clone(), applied_index, Arc::clone(&self.issuer))
    }

    /// Applies the commands of one entry in order. A rejected command changes no document and does not hinder
    /// the others; that an administrator was refused is recorded.
    ///
    /// # Errors
    /// [`Fatal`] if this release cannot understand the entry; nothing has changed then.
    pub fn apply(&mut self, batch: &Batch) -> Result<Vec<Result<Outcome, Reject>>, Fatal> {
        check_version(batch.version())?;
        let before = self.state.clone();
        let results = batch.items().iter().map(|envelope| self.apply_recorded(envelope)).collect();
        // What comes from here on is of a format that this release may not know.
        let format = self.state.format();
        if format > before.format()
            && let Err(unknown) = check_version(format)
        {
            self.state = before;
            return Err(unknown.into());
        }
        Ok(results)
    }

    /// Runs a command and keeps account of it, once every member does (S113).
    fn apply_recorded(&mut self, envelope: &Envelope) -> Result<Outcome, Reject> {
        let before = self.state.clone();
        let result = self.apply_whole(envelope);
        if self.state.format() >= AUDIT_FORMAT
            && let Some(written) = audit::written(envelope, &result, !self.state.is_still(&before))
        {
            self.state.audit.append(written);
        }
        result
    }

    /// Runs a command entirely or not at all. The state is persistent, so keeping the old one costs nothing.
    fn apply_whole(&mut self, envelope: &Envelope) -> Result<Outcome, Reject> {
        let Some(asked) = &envelope.idempotency else { return self.apply_or_undo(envelope) };
        let (actor, at) = (&envelope.actor, envelope.at);
        // Before any condition on a document: what was done has changed the document.
        if let Some(replayed) = self.state.ledger.find(actor, asked, at)? {
            return Ok(replayed);
        }
        let outcome = self.apply_or_undo(envelope)?;
        self.state.ledger.note(actor, asked, at, &outcome);
        Ok(outcome)
    }

    fn apply_or_undo(&mut self, envelope: &Envelope) -> Result<Outcome, Reject> {
        let before = self.state.clone();
        let result = self.apply_one(envelope);
        if result.is_err() {
            self.state = before;
        }
        result
    }

    fn apply_one(&mut self, envelope: &Envelope) -> Result<Outcome, Reject> {
        let at = envelope.at;
        let precondition = envelope.precondition.as_ref();
        envelope.command.check_format(self.state.format())?;
        match &envelope.command {
            Command::FormCluster { cluster_id, members } => self.form_cluster(*cluster_id, members),
            Command::AdmitNode { name, admission, format } => self.admit_node(name, *admission, *format),
            Command::AddMember { name } => self.add_member(name),
            Command::PromoteMember { name } => self.promote_member(name),
            Command::RemoveMember { name } => self.remove_member(name),
            Command::RaiseFormat { to, seen } => self.raise_format(*to, seen),
            Command::TrimAudit { through } => {
                self.state.audit.trim(*through);
                let waiting = u64::try_from(self.state.audit.len()).unwrap_or(u64::MAX);
                Ok(Outcome::AuditTrimmed { waiting })
            }
            #[cfg(feature = "next-format")]
            Command::RenameTenant { slug, name } => {
                let patch = crate::documents::TenantPatch {
                    name: crate::documents::Patch::Set(name.clone()),
                    ..Default::default()
                };
                self.put_tenant(slug, &patch, &[], precondition, at)
            }
            Command::PutTenant { slug, patch, new_keys } => {
                self.put_tenant(slug, patch, new_keys, precondition, at)
            }
            Command::DeleteTenant { slug } => self.delete_tenant(slug, precondition),
            Command::PutScopes { slug, scopes, mode } => self.put_scopes(slug, scopes, *mode, precondition),
            Command::PutClient { slug, client_id, patch, new_id, new_secret } => {
                let new = clients::New { id: *new_id, secret: new_secret };
                self.put_client(slug, client_id, patch, &new, precondition, at)
            }
            Command::DeleteClient { slug, client_id } => self.delete_client(slug, client_id, precondition),
            Command::RotateClientSecret { slug, client_id, secret, overlap_seconds } => {
                self.rotate_client_secret(slug, client_id, secret, *overlap_seconds, precondition, at)
            }
            Command::EnsureGlobalKeys { keys } => self.ensure_global_keys(keys, at),
            Command::RotateKeys { set, key, grace_seconds, prepublish_seconds, activate_now } => {
                let rotation = keys::Rotation {
                    grace_seconds: *grace_seconds,
                    prepublish_seconds: *prepublish_seconds,
                    activate_now: *activate_now,
                };
                self.rotate_keys(set, key, &rotation, at)
            }
            Command::ActivateKey { set, kid } => self.activate_key(set, kid, at),
            Command::RetireKeys { keys } => self.retire_keys(keys, at),
        }
    }

    fn entry(&self, slug: &Slug) -> Result<&Arc<TenantEntry>, Reject> {
        self.state.tenants.get(slug).ok_or(Reject::TenantNotFound)
    }

    fn store(&mut self, slug: &Slug, entry: TenantEntry) {
        self.state.tenants.insert(slug.clone(), Arc::new(entry));
    }

    fn ring(&self, set: &KeySet) -> Result<&KeyRing, Reject> {
        match set {
            KeySet::Global => Ok(self.state.global.keys()),
            KeySet::Tenant(slug) => self.entry(slug).map(|entry| &entry.keys),
        }
    }

    fn store_ring(&mut self, set: &KeySet, keys: KeyRing) -> Result<(), Reject> {
        match set {
            KeySet::Global => self.state.global = Global::new(&self.issuer, keys),
            KeySet::Tenant(slug) => {
                let entry = self.entry(slug)?.with_keys(&self.issuer, keys);
                self.store(slug, entry);
            }
        }
        Ok(())
    }

    /// The revision that follows `current`, or that follows the last one the name ever had.
    fn next_revision(&self, current: Option<u64>, name: &str) -> u64 {
        current.map_or_else(|| self.state.graveyard.first_revision(name), |last| last + 1)
    }
}

/// Whether a document of revision `current` (`None`: it does not exist) is what the caller expects.
fn check(precondition: Option<&Precondition>, current: Option<u64>) -> Result<(), Reject> {
    let holds = match precondition {
        None => true,
        Some(Precondition::Revision(wanted)) => current.is_some_and(|revision| wanted.contains(&revision)),
        Some(Precondition::Absent) => current.is_none(),
    };
    if holds { Ok(()) } else { Err(Reject::PreconditionFailed { current }) }
}

fn invalid(errors: Vec<crate::FieldError>) -> Reject {
    Reject::Invalid { errors }
}

fn limit(what: &str, limit: usize) -> Reject {
    Reject::LimitReached { what: what.to_owned(), limit: u64::try_from(limit).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests;
