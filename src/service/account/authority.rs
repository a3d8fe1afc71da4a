//! What a person may do by their roles, as far as a token is to say it (spec §7).

use hellojohn_control::{ScopeName, TenantEntry};

use super::AccountService;
use crate::domain::role::Role;
use crate::domain::user::UserId;
use crate::service::Result;
use crate::service::tokens::Authority;
use crate::service::user_store::refused;
use crate::store::UnitOfWork;

/// The scope that asks for the claim `roles`.
const ROLES: &str = "roles";
/// The scope that asks for the claim `permissions`.
const PERMISSIONS: &str = "permissions";
/// Most permissions of a token, which travels with every request.
const MAX_PERMISSIONS: usize = 256;

impl AccountService {
    /// Reads what the scope asks for; nothing, without a question to the database, where it asks for nothing. Names that
    /// hellojohn keeps for itself count in a tenant that has administrators and nowhere else.
    pub(super) async fn authority(
        &self,
        work: &mut UnitOfWork,
        entry: &TenantEntry,
        user: UserId,
        scope: &[ScopeName],
    ) -> Result<Authority> {
        let asks = |name: &str| scope.iter().any(|scope| scope.as_str() == name);
        let administers = self.0.tokens.has_administrators(entry);
        let mut authority = Authority::default();
        if administers || asks(ROLES) {
            let roles = work.roles().of_user(user).await.map_err(|error| refused(&error))?;
            let (system, roles) = roles.into_iter().partition(Role::is_system);
            authority.system = if administers { system } else { Vec::new() };
            authority.roles = if asks(ROLES) { roles } else { Vec::new() };
        }
        if asks(PERMISSIONS) {
            let found = work.roles().permissions_of_user(user, MAX_PERMISSIONS + 1).await;
            let found = found.map_err(|error| refused(&error))?;
            // A part of them would read like all of them.
            if found.len() > MAX_PERMISSIONS {
                tracing::warn!(%user, "too many permissions for a token; it carries none");
            } else {
                authority.permissions = found;
            }
        }
        Ok(authority)
    }
}
