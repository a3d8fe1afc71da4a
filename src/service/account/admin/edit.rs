//! Edit somebody's account (EP129).

use hellojohn_control::Slug;
use hellojohn_control::documents::Patch;
use serde_json::{Map, Value};

use super::found;
use crate::crypto::secret::SecretString;
use crate::domain::email::Email;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::{User, UserId};
use crate::service::account::fields::Findings;
use crate::service::account::{AccountService, ProfilePatch};
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;
use crate::service::{Code, Result};

/// A merge patch for what an administrator may decide about an account.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// Another address. It is unverified, unless the patch says that it is not.
    pub email: Patch<String>,
    /// Whether the administrator vouches for the address; `Clear` is no.
    pub email_verified: Patch<bool>,
    /// Another password as typed: every session ends, and no device is trusted any more.
    pub password: Patch<SecretString>,
    /// What the owner could edit too.
    pub profile: ProfilePatch,
    /// A merge patch (RFC 7396) for the attributes of the tenant's own choosing.
    pub custom: Patch<Map<String, Value>>,
}

/// The part of a patch that is written with the account's row.
struct Fields {
    email: Option<Email>,
    email_verified: Patch<bool>,
    profile: ProfilePatch,
    custom: Patch<Map<String, Value>>,
}

impl AccountService {
    /// Edits an account; gives it as it is then.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`; `validation_failed` with everything that is wrong; `invalid_parameter` for a
    /// password over 1,024 bytes; `email_taken`; `busy`; `storage_unavailable`.
    pub async fn edit_user(
        &self,
        by: &Administrator,
        tenant: &Slug,
        id: UserId,
        patch: UserPatch,
    ) -> Result<User> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::EditUser, tenant).to(&object);
        self.0.stores.judged(&event, self.edited(&event, tenant, id, patch).await).await
    }

    async fn edited(
        &self,
        event: &AdminEvent<'_>,
        tenant: &Slug,
        id: UserId,
        patch: UserPatch,
    ) -> Result<User> {
        let entry = self.entry(tenant)?;
        // The rules of a password look at the address, and the custom attributes at what is there: by what is read here one answer
        // names all that is wrong. Attributes that somebody else adds meanwhile count when they are merged.
        let present = self.user(tenant, id).await?;
        let mut findings = Findings::default();
        let profile = patch.profile.checked(&mut findings);
        let email = match &patch.email {
            Patch::Keep => None,
            Patch::Clear => {
                findings.required("email");
                None
            }
            Patch::Set(text) => findings.email(text),
        };
        if let Patch::Set(custom) = &patch.custom {
            let mut merged = present.custom.clone();
            merge(&mut merged, custom);
            findings.custom(&merged);
        }
        if matches!(patch.password, Patch::Clear) {
            findings.required("password");
        }
        let address = email.as_ref().unwrap_or(&present.email).as_str().to_owned();
        let hash = self.hash_for(&entry.tenant, patch.password.as_set(), &address, findings).await?;

        let fields = Fields { email, email_verified: patch.email_verified, profile, custom: patch.custom };
        let (mut work, user) = self.change(&entry.tenant, id, |user| fields.apply(user)).await?;
        let user = user.ok_or(Code::UserNotFound)?;
        if hash.is_some() || user.email.key() != present.email.key() {
            // Links that were mailed are for another password or another address.
            work.mail_tokens().drop_all_of_user(id).await.map_err(|error| refused(&error))?;
        }
        let Some(hash) = hash else {
            self.0.stores.commit_told(work, &[*event]).await?;
            return Ok(user);
        };
        let now = self.0.clock.now();
        work.users().set_password_hash(id, &hash, now).await.map_err(|error| refused(&error))?;
        let reason = RevocationReason::PasswordChanged;
        let ended = work.refresh_tokens().revoke_all_of_user(id, now, reason).await;
        ended.map_err(|error| refused(&error))?;
        self.forget_halves(&mut work, id).await?;
        let user = found(&mut work, id).await?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(user)
    }
}

impl Fields {
    /// # Errors
    /// `validation_failed` when there are too many custom attributes together with those that are there.
    fn apply(&self, user: &mut User) -> Result<()> {
        if let Some(email) = &self.email {
            if email.key() != user.email.key() {
                user.email_verified = false;
            }
            user.email = email.clone();
        }
        self.email_verified.clone().apply_or_default(&mut user.email_verified);
        self.profile.apply(user);
        match &self.custom {
            Patch::Keep => {}
            Patch::Clear => user.custom.clear(),
            Patch::Set(patch) => merge(&mut user.custom, patch),
        }
        let mut findings = Findings::default();
        if matches!(self.custom, Patch::Set(_)) {
            findings.custom(&user.custom);
        }
        findings.into_result()
    }
}

/// RFC 7396 §2.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(members) => {
                let slot = target.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(inner) = slot {
                    merge(inner, members);
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A, that are objects.
    #[test]
    fn a_merge_patch_is_applied_as_the_rfc_says() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else { unreachable!() };
            merge(&mut target, &patch);
            assert_eq!(Value::Object(target), expected, "{patch:?}");
        }
    }
}
