//! What is made or sealed on the leader before a command is proposed: keys, secrets, identifiers.

use std::sync::Arc;

use hellojohn_control::documents::{Alg, NewClientSecret, NewKey, SecretField, SecretHash, TenantPatch};
use hellojohn_control::{Sealed, Slug, View};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::crypto::keys::{self, KeyError};
use crate::crypto::sealed::{Aad, OpenError, Purpose, SealError, Sealer};
use crate::crypto::secret::{SecretBytes, SecretString};
use crate::domain::rng::{self, Rng};

/// Something could not be made or sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealFailure {
    /// A signing key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A secret of a document.
    #[error(transparent)]
    Secret(#[from] SealError),
}

/// The master keys and the randomness that new secrets are made with.
#[derive(Debug, Clone)]
pub struct Sealing {
    signing: Arc<Sealer>,
    secretbox: Arc<Sealer>,
    rng: Arc<dyn Rng>,
}

const DSN_FIELD: &str = "dsn";

impl Sealing {
    /// Seals signing keys with `signing` and everything else with `secretbox`.
    pub fn new(signing: Arc<Sealer>, secretbox: Arc<Sealer>, rng: Arc<dyn Rng>) -> Self {
        Self { signing, secretbox, rng }
    }

    /// Whether the global keys show that the master keys at hand are the cluster's: there are some, and all of them, and all
    /// secrets of tenants, were sealed with these.
    pub fn sealed_all_of(&self, view: &View) -> bool {
        let keys = view.global_keys();
        !keys.is_empty()
            && keys.keys().values().all(|key| self.signing.sealed(&key.private_key))
            && view
                .tenants()
                .values()
                .all(|entry| entry.tenant.settings.secrets().all(|secret| self.secretbox.sealed(secret)))
    }

    /// Whether the key that signs now was sealed with another master key: nobody else would open what is minted here.
    pub fn is_foreign_to(&self, view: &View) -> bool {
        let active = view.global_keys().active(Alg::EdDsa);
        active.is_some_and(|key| !self.signing.sealed(&key.private_key))
    }

    /// A new signing key of `tenant`, or of the global set.
    ///
    /// # Errors
    /// [`SealFailure::Key`] for an algorithm that this release does not make keys for.
    pub fn mint_key(&self, tenant: Option<&Slug>, alg: Alg) -> Result<NewKey, SealFailure> {
        Ok(keys::mint(self.rng.as_ref(), &self.signing, tenant, alg)?)
    }

    /// A new random identifier.
    pub fn new_id(&self) -> Uuid {
        rng::uuid(self.rng.as_ref())
    }

    /// A new client secret: the text that is shown once, and the hash that is kept.
    pub fn new_client_secret(&self) -> (SecretString, NewClientSecret) {
        use base64::Engine as _;
        let random: [u8; 32] = rng::bytes(self.rng.as_ref());
        let text = format!("hjs_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random));
        let hash = SecretHash::new(Sha256::digest(text.as_bytes()).into());
        (SecretString::from(text), NewClientSecret { id: self.new_id(), hash })
    }

    /// The patch with every secret sealed for this tenant and its field.
    ///
    /// # Errors
    /// [`SealFailure::Secret`] when a secret is too long.
    pub fn seal_patch(
        &self,
        slug: &Slug,
        patch: TenantPatch<SecretString>,
    ) -> Result<TenantPatch<Sealed>, SealFailure> {
        patch.try_map_secrets(&mut |which: SecretField<'_>, secret: SecretString| {
            let (purpose, field) = place(which);
            let aad = Aad { purpose, tenant: Some(slug), field };
            Ok(self.secretbox.seal(self.rng.as_ref(), &aad, secret.expose().as_bytes())?)
        })
    }

    /// A once-shown secret, kept with the answer that shows it for a repetition under the same idempotency key.
    ///
    /// # Errors
    /// [`SealFailure::Secret`] when it is too long.
    pub fn seal_answer(&self, slug: &Slug, key: &str, secret: &SecretString) -> Result<Sealed, SealFailure> {
        let aad = Aad { purpose: Purpose::IdempotentAnswer, tenant: Some(slug), field: key };
        Ok(self.secretbox.seal(self.rng.as_ref(), &aad, secret.expose().as_bytes())?)
    }

    /// The secret that [`Self::seal_answer`] has sealed.
    ///
    /// # Errors
    /// [`OpenError`] when this node holds another master key or the value is damaged.
    pub fn open_answer(&self, slug: &Slug, key: &str, sealed: &Sealed) -> Result<SecretString, OpenError> {
        let aad = Aad { purpose: Purpose::IdempotentAnswer, tenant: Some(slug), field: key };
        let bytes = self.secretbox.open(&aad, sealed)?;
        Ok(SecretString::from(String::from_utf8_lossy(bytes.expose()).into_owned()))
    }

    /// A mail of the tenant, for its row in the outbox.
    ///
    /// # Errors
    /// [`SealFailure::Secret`] when it is too long.
    pub fn seal_mail(&self, slug: &Slug, row: Uuid, mail: &[u8]) -> Result<Sealed, SealFailure> {
        let row = row.to_string();
        let aad = Aad { purpose: Purpose::Mail, tenant: Some(slug), field: &row };
        Ok(self.secretbox.seal(self.rng.as_ref(), &aad, mail)?)
    }

    /// The mail that [`Self::seal_mail`] has sealed.
    ///
    /// # Errors
    /// [`OpenError`] when this node holds another master key, or the value is damaged or of another row.
    pub fn open_mail(&self, slug: &Slug, row: Uuid, mail: &Sealed) -> Result<SecretBytes, OpenError> {
        let row = row.to_string();
        let aad = Aad { purpose: Purpose::Mail, tenant: Some(slug), field: &row };
        self.secretbox.open(&aad, mail)
    }

    /// The password of a tenant's mail server.
    ///
    /// # Errors
    /// [`OpenError`] when this node holds another master key or the value is damaged.
    pub fn open_smtp_password(&self, slug: &Slug, password: &Sealed) -> Result<SecretBytes, OpenError> {
        let (purpose, field) = place(SecretField::SmtpPassword);
        self.secretbox.open(&Aad { purpose, tenant: Some(slug), field }, password)
    }

    /// The connection string of a tenant's own database.
    ///
    /// # Errors
    /// [`OpenError`] when this node holds another master key or the value is damaged.
    pub fn open_dsn(&self, slug: &Slug, dsn: &Sealed) -> Result<SecretBytes, OpenError> {
        let aad = Aad { purpose: Purpose::UserStoreDsn, tenant: Some(slug), field: DSN_FIELD };
        self.secretbox.open(&aad, dsn)
    }
}

/// Purpose and field of the associated data of a secret.
fn place(which: SecretField<'_>) -> (Purpose, &str) {
    match which {
        SecretField::UserStoreDsn => (Purpose::UserStoreDsn, DSN_FIELD),
        SecretField::SmtpPassword => (Purpose::SmtpPassword, "password"),
        SecretField::SocialClientSecret(provider) => (Purpose::ProviderSecret, provider),
    }
}
