//! Look at one's own account (EP007).

use super::AccountService;
use crate::domain::user::User;
use crate::service::authenticate::person_of;
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};

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
}
