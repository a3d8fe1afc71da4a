//! A machine on a bench: commands go in with the time that the test sets.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::documents::{
    Alg, Client, KeySet, KeyState, NewClientSecret, NewKey, PublicJwk, Scope, ScopeCatalogue, SecretHash,
    SigningKey, Tenant,
};
use crate::machine::Machine;
use crate::view::View;
use crate::{
    Batch, ClientId, Command, Envelope, FieldError, Issuer, KeyRef, Kid, Outcome, Precondition, Reject,
    ScopesMode, Sealed, Slug, Timestamp,
};

pub(super) const START: i64 = 1_800_000_000;
pub(super) const ACME: &str = "acme";
pub(super) const WEB: &str = "web";

pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub(super) fn client_id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

pub(super) fn kid(text: &str) -> Kid {
    Kid::parse(text).unwrap()
}

pub(super) fn tenant_set(text: &str) -> KeySet {
    KeySet::Tenant(slug(text))
}

pub(super) fn key_ref(set: &KeySet, text: &str) -> KeyRef {
    KeyRef { set: set.clone(), kid: kid(text) }
}

/// A key whose parts are recognisable by its kid. Its private half says `private` in the ciphertext.
pub(super) fn key(name: &str, alg: Alg) -> NewKey {
    let public_jwk = match alg {
        Alg::EdDsa => PublicJwk::Okp { crv: "Ed25519".to_owned(), x: name.to_owned() },
        Alg::Es256 => PublicJwk::Ec { crv: "P-256".to_owned(), x: name.to_owned(), y: name.to_owned() },
        Alg::Rs256 => PublicJwk::Rsa { n: name.to_owned(), e: "AQAB".to_owned() },
    };
    let private_key = Sealed::parse(&format!("GCMV1:mk1:private-{name}")).unwrap();
    NewKey { kid: kid(name), alg, public_jwk, private_key }
}

pub(super) fn secret(n: u8) -> NewClientSecret {
    NewClientSecret { id: Uuid::from_u128(n.into()), hash: SecretHash::new([n; 32]) }
}

pub(super) struct Bench {
    pub(super) machine: Machine,
    /// Seconds since the epoch at which the next command runs.
    pub(super) now: i64,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { machine: Machine::new(Issuer::new("https://id.example.com")), now: START }
    }

    /// A bench with the tenant `acme` and nothing else.
    pub(super) fn with_acme() -> Self {
        let mut bench = Self::new();
        bench.tenant(ACME, serde_json::json!({}));
        bench
    }

    pub(super) fn at(&self) -> Timestamp {
        Timestamp::from_secs(self.now)
    }

    pub(super) fn view(&self) -> View {
        self.machine.view(1)
    }

    /// Of everything but the records, which tell of refusals too.
    pub(super) fn hash(&self) -> String {
        crate::Image { audit: Default::default(), ..self.machine.image() }.hash().unwrap()
    }

    pub(super) fn run_if(
        &mut self,
        precondition: Option<Precondition>,
        command: Command,
    ) -> Result<Outcome, Reject> {
        let before = self.hash();
        let envelope = Envelope {
            at: self.at(),
            actor: "tester".to_owned(),
            request_id: "r1".to_owned(),
            ip: None,
            precondition,
            idempotency: None,
            command,
        };
        let result = self.machine.apply(&Batch::new(vec![envelope])).unwrap().pop().unwrap();
        if result.is_err() {
            assert_eq!(self.hash(), before, "a rejected command must change nothing: {result:?}");
        }
        result
    }

    pub(super) fn run(&mut self, command: Command) -> Result<Outcome, Reject> {
        self.run_if(None, command)
    }

    pub(super) fn try_tenant(&mut self, name: &str, patch: Value) -> Result<Outcome, Reject> {
        self.run(put_tenant(name, patch, &[]))
    }

    /// Puts a tenant and gives the document and whether it is new.
    pub(super) fn tenant(&mut self, name: &str, patch: Value) -> (Arc<Tenant>, bool) {
        match self.try_tenant(name, patch).unwrap() {
            Outcome::Tenant { created, tenant } => (tenant, created),
            other => panic!("{other:?}"),
        }
    }

    /// Makes a path tenant whose active EdDSA key is `{name}-key-1`.
    pub(super) fn path_tenant(&mut self, name: &str) {
        let patch = serde_json::json!({"settings": {"issuerMode": "path"}});
        let command = put_tenant(name, patch, &[key(&format!("{name}-key-1"), Alg::EdDsa)]);
        self.run(command).unwrap();
    }

    pub(super) fn try_client(&mut self, id: &str, patch: Value, n: u8) -> Result<Outcome, Reject> {
        self.run(put_client(ACME, id, patch, n))
    }

    /// Puts a client of `acme`; gives the document and whether secret `n` became one of its secrets.
    pub(super) fn client(&mut self, id: &str, patch: Value, n: u8) -> (Arc<Client>, bool) {
        match self.try_client(id, patch, n).unwrap() {
            Outcome::Client { client, secret_taken, .. } => (client, secret_taken),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn try_scopes(&mut self, scopes: Value, mode: ScopesMode) -> Result<Outcome, Reject> {
        let scopes: Vec<Scope> = serde_json::from_value(scopes).unwrap();
        self.run(Command::PutScopes { slug: slug(ACME), scopes, mode })
    }

    pub(super) fn scopes(&mut self, scopes: Value, mode: ScopesMode) -> Arc<ScopeCatalogue> {
        match self.try_scopes(scopes, mode).unwrap() {
            Outcome::Scopes { scopes } => scopes,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn rotate(&mut self, set: &KeySet, key: NewKey, grace: u32) -> Result<Outcome, Reject> {
        self.run(rotation(set, key, grace, 0, false))
    }

    pub(super) fn activate(&mut self, set: &KeySet, name: &str) -> Result<Outcome, Reject> {
        self.run(Command::ActivateKey { set: set.clone(), kid: kid(name) })
    }

    pub(super) fn retire(&mut self, keys: Vec<KeyRef>) -> Result<Outcome, Reject> {
        self.run(Command::RetireKeys { keys })
    }

    pub(super) fn key(&self, set: &KeySet, name: &str) -> Option<Arc<SigningKey>> {
        self.view().keys(set).unwrap().get(name).cloned()
    }

    pub(super) fn state(&self, set: &KeySet, name: &str) -> Option<KeyState> {
        self.key(set, name).map(|key| key.state)
    }

    /// Kids of the set's JWKS, in its order.
    pub(super) fn published(&self, set: &KeySet) -> Vec<String> {
        let jwks: Value = serde_json::from_slice(self.view().keys(set).unwrap().jwks()).unwrap();
        let keys = jwks["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

pub(super) fn put_tenant(name: &str, patch: Value, new_keys: &[NewKey]) -> Command {
    let patch = serde_json::from_value(patch).unwrap();
    Command::PutTenant { slug: slug(name), patch, new_keys: new_keys.to_vec() }
}

/// `n` makes the new id and the new secret recognisable.
pub(super) fn put_client(tenant: &str, id: &str, patch: Value, n: u8) -> Command {
    Command::PutClient {
        slug: slug(tenant),
        client_id: client_id(id),
        patch: serde_json::from_value(patch).unwrap(),
        new_id: Uuid::from_u128(u128::from(n) << 64),
        new_secret: secret(n),
    }
}

pub(super) fn rotation(set: &KeySet, key: NewKey, grace: u32, prepublish: u32, now: bool) -> Command {
    Command::RotateKeys {
        set: set.clone(),
        key,
        grace_seconds: grace,
        prepublish_seconds: prepublish,
        activate_now: now,
    }
}

/// The field and code of everything that was wrong.
pub(super) fn findings(result: Result<Outcome, Reject>) -> Vec<(String, String)> {
    match result {
        Err(Reject::Invalid { errors }) => {
            errors.into_iter().map(|FieldError { field, code, .. }| (field, code)).collect()
        }
        other => panic!("should be invalid: {other:?}"),
    }
}

pub(super) fn finding(field: &str, code: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), code.to_owned())]
}
