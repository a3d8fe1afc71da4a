//! Roles of people and the permissions that roles carry (EP125-EP128).
//!
//! Both are names of the tenant's own choosing. Names that begin with `sys:` are hellojohn's: the one role among them makes an
//! administrator of the installation, in the tenants of `ADMIN_TENANTS` only, and no permission begins so.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
const MAX_NAME: usize = 64;
/// What hellojohn keeps for itself.
const SYSTEM: &str = "sys:";

/// A text is no name of a role or a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 64 characters of a-z, 0-9, colon, underscore, dot and hyphen, with a letter or digit at both ends"
)]
pub struct InvalidName;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// The grammar, for a text outside it.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name is one of those that hellojohn keeps for itself.
            pub fn is_system(&self) -> bool {
                self.0.starts_with(SYSTEM)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a role.
    Role
);
name!(
    /// The name of a permission.
    Permission
);

impl Role {
    /// The role that makes an administrator of the installation (spec §6).
    pub const ADMIN: &'static str = "sys:admin";
}

fn is_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner =
        |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b':' | b'_' | b'.' | b'-');
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_grammar() {
        for good in ["a", "editor", "sys:admin", "orders:read", "a.b_c-d:e", &"r".repeat(64)] {
            assert!(Role::parse(good).is_ok() && Permission::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ":a", "a:", "A", "a b", "a,b", "\u{e4}", "a\u{0}b", &"r".repeat(65)] {
            assert!(Role::parse(bad).is_err() && Permission::parse(bad).is_err(), "{bad}");
        }
        assert!(Role::parse(Role::ADMIN).unwrap().is_system());
        assert!(!Role::parse("system").unwrap().is_system());
    }
}
