//! Clients and their secrets.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Machine, check, invalid, limit};
use crate::documents::{Client, ClientPatch, ClientSecret, ClientType, NewClientSecret};
use crate::envelope::Precondition;
use crate::outcome::{Outcome, Reject};
use crate::state::{TenantEntry, client_name};
use crate::validate::Findings;
use crate::{ClientId, Slug, Timestamp, limits};

/// What the leader made in case the command needs it.
pub(super) struct New<'a> {
    pub(super) id: Uuid,
    pub(super) secret: &'a NewClientSecret,
}

impl Machine {
    pub(super) fn put_client(
        &mut self,
        slug: &Slug,
        client_id: &ClientId,
        patch: &ClientPatch,
        new: &New<'_>,
        precondition: Option<&Precondition>,
        at: Timestamp,
    ) -> Result<Outcome, Reject> {
        let entry = Arc::clone(self.entry(slug)?);
        let existing = entry.clients.get(client_id);
        check(precondition, existing.map(|client| client.revision))?;
        if existing.is_none() && entry.clients.len() >= limits::CLIENTS_PER_TENANT {
            return Err(limit("clients", limits::CLIENTS_PER_TENANT));
        }
        let base = match existing {
            Some(client) => Client::clone(client),
            None => Client::new(new.id, client_id.clone(), at),
        };
        let mut client = base.merged(patch, self.state.format()).map_err(invalid)?;
        check_scopes(&client, &entry)?;
        let secret_taken = client.client_type == ClientType::Confidential && client.secrets.is_empty();
        if secret_taken {
            client.secrets.push(created(new.secret, at));
        }
        if existing.is_some() && client == base {
            return Ok(Outcome::Client { created: false, client: Arc::new(client), secret_taken });
        }
        let created = existing.is_none();
        let client = self.store_client(slug, &entry, client, at);
        Ok(Outcome::Client { created, client, secret_taken })
    }

    pub(super) fn rotate_client_secret(
        &mut self,
        slug: &Slug,
        client_id: &ClientId,
        secret: &NewClientSecret,
        overlap_seconds: u32,
        precondition: Option<&Precondition>,
        at: Timestamp,
    ) -> Result<Outcome, Reject> {
        let entry = Arc::clone(self.entry(slug)?);
        let existing = entry.clients.get(client_id).ok_or(Reject::ClientNotFound)?;
        check(precondition, Some(existing.revision))?;
        match existing.client_type {
            ClientType::Public => return Err(Reject::PublicClient),
            ClientType::Confidential => {}
        }
        let mut findings = Findings::default();
        findings.at_most_seconds("overlapSeconds", overlap_seconds, limits::GRACE_SECONDS);
        findings.into_result().map_err(invalid)?;
        let mut client = Client::clone(existing);
        let ends = at.plus(Duration::from_secs(overlap_seconds.into()));
        for old in &mut client.secrets {
            old.expires_at = Some(old.expires_at.map_or(ends, |already| already.min(ends)));
        }
        client.secrets.retain(|old| old.expires_at.is_some_and(|expiry| expiry > at));
        let surplus = (client.secrets.len() + 1).saturating_sub(limits::SECRETS);
        client.secrets.drain(..surplus);
        client.secrets.push(created(secret, at));
        let client = self.store_client(slug, &entry, client, at);
        Ok(Outcome::Client { created: false, client, secret_taken: true })
    }

    pub(super) fn delete_client(
        &mut self,
        slug: &Slug,
        client_id: &ClientId,
        precondition: Option<&Precondition>,
    ) -> Result<Outcome, Reject> {
        let entry = Arc::clone(self.entry(slug)?);
        let client = entry.clients.get(client_id).ok_or(Reject::ClientNotFound)?;
        check(precondition, Some(client.revision))?;
        self.state.graveyard.bury(client_name(slug, client_id), client.revision);
        let clients = entry.clients.without(client_id);
        self.store(slug, entry.with_clients(clients));
        Ok(Outcome::ClientDeleted { id: client.id })
    }

    fn store_client(
        &mut self,
        slug: &Slug,
        entry: &TenantEntry,
        mut client: Client,
        at: Timestamp,
    ) -> Arc<Client> {
        let name = client_name(slug, &client.client_id);
        let current = entry.clients.get(&client.client_id).map(|old| old.revision);
        client.revision = self.next_revision(current, &name);
        client.version = client.revision;
        client.updated_at = at;
        let client = Arc::new(client);
        let clients = entry.clients.update(client.client_id.clone(), Arc::clone(&client));
        self.state.graveyard.raise(&name);
        self.store(slug, entry.with_clients(clients));
        client
    }
}

fn created(secret: &NewClientSecret, at: Timestamp) -> ClientSecret {
    ClientSecret { id: secret.id, hash: secret.hash, created_at: at, expires_at: None }
}

fn check_scopes(client: &Client, entry: &TenantEntry) -> Result<(), Reject> {
    let mut findings = Findings::default();
    for (i, scope) in client.scopes.iter().enumerate() {
        if !entry.scopes.contains(scope) {
            findings.add(format!("scopes[{i}]"), "unknown_scope", "is not in the tenant's scope catalogue");
        }
    }
    findings.into_result().map_err(invalid)
}
