//! Look at one's own account and edit what is its owner's to decide (EP007-EP009, S102).

use hellojohn_control::documents::{Patch, Tenant};

use super::AccountService;
use super::fields::Findings;
use crate::domain::user::{User, UserId};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::person_of;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Principal, Result};
use crate::store::{self, UnitOfWork};

/// What a token must be for to read the profile (spec §6).
const PROFILE_SCOPE: &str = "profile:read";
/// How often an edit starts anew when somebody else has changed the account meanwhile.
const ATTEMPTS: usize = 3;

/// A merge patch for the fields that are their owner's.
#[derive(Debug, Clone, Default)]
pub struct ProfilePatch {
    /// OpenID Connect Core §5.1.
    pub given_name: Patch<String>,
    /// OpenID Connect Core §5.1.
    pub family_name: Patch<String>,
    /// URL of a picture, https.
    pub picture: Patch<String>,
    /// BCP 47 language tag.
    pub locale: Patch<String>,
}

impl AccountService {
    /// The account that the token speaks for.
    ///
    /// # Errors
    /// `invalid_token` when the account is gone; `storage_unavailable`.
    pub async fn me(&self, principal: &Principal) -> Result<User> {
        let person = person_of(principal)?;
        let entry = self.0.plane.view().tenant(&person.tenant).cloned().ok_or(Code::InvalidToken)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = work.users().find_by_id(person.user).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        user.ok_or_else(|| Code::InvalidToken.into())
    }

    /// The same for an application, if the token lets it.
    ///
    /// # Errors
    /// `insufficient_scope`, and those of [`Self::me`].
    pub async fn profile(&self, principal: &Principal) -> Result<User> {
        if !principal.scopes.iter().any(|scope| scope == PROFILE_SCOPE) {
            return Err(Error::insufficient_scope(PROFILE_SCOPE));
        }
        self.me(principal).await
    }

    /// Edits the account; gives it as it is then.
    ///
    /// # Errors
    /// `validation_failed` with everything that is wrong; `invalid_token` when the account is gone; `busy` when it keeps
    /// being changed by others; `storage_unavailable`.
    pub async fn edit_profile(
        &self,
        requester: &Requester,
        principal: &Principal,
        patch: ProfilePatch,
    ) -> Result<User> {
        let mut findings = Findings::default();
        let patch = patch.checked(&mut findings);
        findings.into_result()?;
        let person = person_of(principal)?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let apply = |user: &mut User| {
            patch.apply(user);
            Ok(())
        };
        let (work, user) = self.change(&entry.tenant, person.user, apply).await?;
        let user = user.ok_or(Code::InvalidToken)?;
        let event = Event {
            requester,
            action: Action::EditProfile,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        self.0.stores.commit_told(work, &[event]).await?;
        Ok(user)
    }

    /// Reads the account, changes it and writes it, anew when somebody else has changed it meanwhile. What may not be written
    /// is for `apply` to refuse, which sees the account as it is. `None` without such an account. Nothing is kept unless the
    /// unit of work is committed.
    ///
    /// # Errors
    /// Those of `apply`; `busy` when it keeps being changed; `email_taken`; `storage_unavailable`.
    pub(super) async fn change(
        &self,
        tenant: &Tenant,
        id: UserId,
        apply: impl Fn(&mut User) -> Result<()>,
    ) -> Result<(UnitOfWork, Option<User>)> {
        for _ in 0..ATTEMPTS {
            let mut work = self.0.stores.begin(tenant).await?;
            let found = work.users().find_by_id(id).await.map_err(|error| refused(&error))?;
            let Some(mut user) = found else { return Ok((work, None)) };
            apply(&mut user)?;
            match work.users().update(&user, self.0.clock.now()).await {
                Ok(updated_at) => user.updated_at = updated_at,
                Err(store::Error::Conflict(_)) => continue,
                Err(error) => return Err(refused(&error)),
            }
            return Ok((work, Some(user)));
        }
        Err(Error::busy(super::BUSY_RETRY).context("the account keeps being changed"))
    }
}

impl ProfilePatch {
    /// The patch with every value as it is kept.
    pub(super) fn checked(self, findings: &mut Findings) -> Self {
        Self {
            given_name: set(self.given_name, |text| findings.name("given_name", Some(text))),
            family_name: set(self.family_name, |text| findings.name("family_name", Some(text))),
            picture: set(self.picture, |text| findings.picture(text)),
            locale: set(self.locale, |text| findings.locale(text)),
        }
    }

    /// Writes into the account what the patch says.
    pub(super) fn apply(&self, user: &mut User) {
        let fields = [
            (&mut user.given_name, &self.given_name),
            (&mut user.family_name, &self.family_name),
            (&mut user.picture, &self.picture),
            (&mut user.locale, &self.locale),
        ];
        for (field, patch) in fields {
            patch.clone().apply_option(field);
        }
    }
}

/// A value that turns out to be none clears the field.
fn set(patch: Patch<String>, mut check: impl FnMut(&str) -> Option<String>) -> Patch<String> {
    match patch {
        Patch::Set(text) => check(&text).map_or(Patch::Clear, Patch::Set),
        other => other,
    }
}
