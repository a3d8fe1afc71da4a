//! Make an account for somebody (EP129).

use hellojohn_control::Slug;
use hellojohn_control::documents::Tenant;
use serde_json::{Map, Value};

use crate::crypto::secret::SecretString;
use crate::domain::rng;
use crate::domain::user::{PasswordHash, User, UserId, UserStatus};
use crate::service::account::fields::{Findings, policy_of};
use crate::service::account::{AccountService, password, unhashed};
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;
use crate::service::{Error, Result};

/// An account as an administrator wants it. Whether somebody administers this installation is not theirs to say here (S102).
#[derive(Debug, Clone, Default)]
pub struct NewUser {
    /// Address.
    pub email: String,
    /// Whether the administrator vouches for the address.
    pub email_verified: bool,
    /// Password as typed; without one nobody can log in with a password until one is set.
    pub password: Option<SecretString>,
    /// OpenID Connect Core §5.1.
    pub given_name: Option<String>,
    /// OpenID Connect Core §5.1.
    pub family_name: Option<String>,
    /// URL of a picture, https.
    pub picture: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Attributes of the tenant's own choosing.
    pub custom: Map<String, Value>,
    /// Whether the account begins its life disabled.
    pub disabled: bool,
}

impl AccountService {
    /// Makes an account.
    ///
    /// # Errors
    /// `tenant_not_found`; `invalid_parameter` for a password over 1,024 bytes; `validation_failed` with everything that is
    /// wrong; `email_taken`; `busy`; `storage_unavailable`.
    pub async fn create_user(&self, by: &Administrator, tenant: &Slug, input: &NewUser) -> Result<User> {
        let event = AdminEvent::of_tenant(by, AdminAction::CreateUser, tenant);
        self.0.stores.judged(&event, self.created(&event, tenant, input).await).await
    }

    async fn created(&self, event: &AdminEvent<'_>, tenant: &Slug, input: &NewUser) -> Result<User> {
        let entry = self.entry(tenant)?;
        let mut findings = Findings::default();
        let email = findings.email(&input.email);
        let given_name = findings.name("given_name", input.given_name.as_deref());
        let family_name = findings.name("family_name", input.family_name.as_deref());
        let picture = input.picture.as_deref().and_then(|text| findings.picture(text));
        let locale = input.locale.as_deref().and_then(|text| findings.locale(text));
        findings.custom(&input.custom);
        let password_hash =
            self.hash_for(&entry.tenant, input.password.as_ref(), &input.email, findings).await?;
        let email = email.ok_or_else(|| Error::internal("a bad address was not found"))?;
        let id = UserId(rng::uuid(self.0.rng.as_ref()));
        let user = User {
            email_verified: input.email_verified,
            given_name,
            family_name,
            picture,
            locale,
            custom: input.custom.clone(),
            status: if input.disabled { UserStatus::Disabled } else { UserStatus::Active },
            ..User::new(id, email, password_hash, self.0.clock.now())
        };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        work.users().insert(&user).await.map_err(|error| refused(&error))?;
        let id = user.id.to_string();
        self.0.stores.commit_told(work, &[event.to(&id)]).await?;
        Ok(user)
    }

    /// The hash of a password that an administrator chose, by the same rules as everybody's. Refuses with all that was found,
    /// before anything is hashed.
    pub(super) async fn hash_for(
        &self,
        tenant: &Tenant,
        typed: Option<&SecretString>,
        email: &str,
        mut findings: Findings,
    ) -> Result<Option<PasswordHash>> {
        let Some(typed) = typed else {
            findings.into_result()?;
            return Ok(None);
        };
        let typed = password(typed)?;
        let policy = policy_of(&self.0.settings.password_policy, tenant.settings.password_policy.as_ref());
        findings.new_password("password", &typed, email, tenant, &policy, &self.0.settings);
        findings.into_result()?;
        let hash = self.0.hashes.hash(typed).await.map_err(|error| unhashed(&error))?;
        Ok(Some(PasswordHash::new(hash)))
    }
}
