//! `admin`: who may use the administration API.

use hellojohn_control::Slug;

use super::intake::Intake;
use super::setting::{Raw, section};
use super::value::{Invalid, each, quoted, switch, texts};

section! {
    /// Administrators.
    pub struct Admin in "admin" {
        /// Require administrator rights on the admin API. 0 accepts any valid token of an admin tenant, for
        /// development; it is refused in cluster mode.
        enforce: bool = Literal("1"), env ["ADMIN_ENFORCE"], Public, switch;
        /// Subjects (user ids) that are administrators whatever their roles.
        subs: Vec<String> = Literal(""), env ["ADMIN_SUBS"], Public, texts;
        /// Tenants whose users can be administrators. They use the global database.
        tenants: Vec<Slug> = Literal("local"), env ["ADMIN_TENANTS"], Public, slugs;
    }
}

impl Admin {
    /// `embedded` is true in cluster mode.
    pub(super) fn validate(&self, embedded: bool, intake: &mut Intake<'_>) {
        if self.tenants.is_empty() {
            intake.conflict(
                &["admin.tenants"],
                "is empty, so nobody could administer",
                "name at least one tenant, or leave the key out for 'local'",
            );
        }
        if self.enforce {
            return;
        }
        if embedded {
            intake.conflict(
                &["admin.enforce", "cluster.mode"],
                "cannot be switched off in cluster mode",
                "leave ADMIN_ENFORCE out, or use CLUSTER_MODE=off for development",
            );
        } else {
            intake.warn("admin.enforce", "every valid token of an admin tenant may administer");
        }
    }
}

fn slugs(raw: &Raw) -> Result<Vec<Slug>, Invalid> {
    each(raw, |item| {
        Slug::parse(item)
            .map_err(|error| Invalid::new(format!("{} is not a tenant", quoted(item)), format!("a {error}")))
    })
}
