//! Roles of people and permissions of roles (EP125-EP128). They take effect in every token that is issued afterwards; the role
//! that makes an administrator at once, because the database is asked whenever somebody administers.

use std::collections::BTreeSet;

use hellojohn_control::{Slug, TenantEntry};

use super::found;
use crate::domain::role::{Permission, Role};
use crate::domain::user::UserId;
use crate::service::account::AccountService;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;
use crate::service::{Code, Error, FieldError, Result};

/// Most roles of a person.
const MAX_ROLES: usize = 64;
/// Most permissions of a role.
const MAX_PERMISSIONS: usize = 256;

/// What is given and what is taken. Nothing may be in both.
#[derive(Debug, Clone, Default)]
pub struct Change<T> {
    /// Given, unless it is there.
    pub add: Vec<T>,
    /// Taken, if it is there.
    pub remove: Vec<T>,
}

impl AccountService {
    /// The roles of an account, by name.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn roles_of_user(&self, tenant: &Slug, id: UserId) -> Result<Vec<Role>> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        found(&mut work, id).await?;
        let roles = work.roles().of_user(id).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(roles)
    }

    /// Gives an account roles and takes others; gives those that it has then.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`; `validation_failed` for a role in both lists, one that is hellojohn's own, or too
    /// many; `storage_unavailable`.
    pub async fn change_roles(
        &self,
        by: &Administrator,
        tenant: &Slug,
        id: UserId,
        change: &Change<Role>,
    ) -> Result<Vec<Role>> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::ChangeRoles, tenant).to(&object);
        self.0.stores.judged(&event, self.roles_changed(&event, tenant, id, change).await).await
    }

    async fn roles_changed(
        &self,
        event: &AdminEvent<'_>,
        tenant: &Slug,
        id: UserId,
        change: &Change<Role>,
    ) -> Result<Vec<Role>> {
        let entry = self.entry(tenant)?;
        change.check(MAX_ROLES, |role| role.is_system() && !self.may_have(&entry, role))?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let now = self.0.clock.now();
        let roles = work.roles().change_user(id, &change.add, &change.remove, now).await;
        let roles = roles.map_err(|error| refused(&error))?.ok_or(Code::UserNotFound)?;
        at_most(roles.len(), MAX_ROLES, "roles")?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(roles)
    }

    /// Whether people of the tenant may have a role that is hellojohn's own.
    fn may_have(&self, entry: &TenantEntry, role: &Role) -> bool {
        role.as_str() == Role::ADMIN && self.0.tokens.has_administrators(entry)
    }

    /// What a role may do, by name. A role that nobody has spoken of may do nothing.
    ///
    /// # Errors
    /// `tenant_not_found`, `storage_unavailable`.
    pub async fn permissions_of_role(&self, tenant: &Slug, role: &Role) -> Result<Vec<Permission>> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let permissions = work.roles().of_role(role).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(permissions)
    }

    /// Gives a role permissions and takes others; gives those that it has then.
    ///
    /// # Errors
    /// `tenant_not_found`; `validation_failed` for a permission in both lists, one that is hellojohn's own, a role that is, or
    /// too many; `storage_unavailable`.
    pub async fn change_permissions(
        &self,
        by: &Administrator,
        tenant: &Slug,
        role: &Role,
        change: &Change<Permission>,
    ) -> Result<Vec<Permission>> {
        let event = AdminEvent::of_tenant(by, AdminAction::ChangePermissions, tenant).to(role.as_str());
        self.0.stores.judged(&event, self.permissions_changed(&event, tenant, role, change).await).await
    }

    async fn permissions_changed(
        &self,
        event: &AdminEvent<'_>,
        tenant: &Slug,
        role: &Role,
        change: &Change<Permission>,
    ) -> Result<Vec<Permission>> {
        let entry = self.entry(tenant)?;
        if role.is_system() {
            return Err(Error::bad_input(
                Code::InvalidParameter,
                "a role of hellojohn's own has no permissions",
            ));
        }
        change.check(MAX_PERMISSIONS, Permission::is_system)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let now = self.0.clock.now();
        let permissions = work.roles().change_role(role, &change.add, &change.remove, now).await;
        let permissions = permissions.map_err(|error| refused(&error))?;
        at_most(permissions.len(), MAX_PERMISSIONS, "permissions")?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(permissions)
    }
}

impl<T: Ord> Change<T> {
    /// # Errors
    /// `validation_failed`, naming each that is in both lists or kept by hellojohn, and a list that is too long.
    fn check(&self, max: usize, reserved: impl Fn(&T) -> bool) -> Result<()> {
        let mut errors = Vec::new();
        for (field, list) in [("add", &self.add), ("remove", &self.remove)] {
            if list.len() > max {
                errors.push(FieldError::new(field, "too_many", format!("must have at most {max} names")));
            }
        }
        for (index, name) in self.add.iter().enumerate() {
            if reserved(name) {
                let message = "names that begin with sys: are hellojohn's own";
                errors.push(FieldError::new(format!("add[{index}]"), "reserved", message));
            }
        }
        let added: BTreeSet<&T> = self.add.iter().collect();
        for (index, name) in self.remove.iter().enumerate() {
            if added.contains(name) {
                let message = "is also to be added";
                errors.push(FieldError::new(format!("remove[{index}]"), "contradiction", message));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
    }
}

fn at_most(count: usize, max: usize, what: &str) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    let message = format!("there would be {count} {what}, and there may be {max}; remove others first");
    Err(Error::invalid_field("add", "too_many", message))
}
