//! The claims of an access token (spec §7).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an access token says. Unknown claims are skipped when read, so that a node of this release verifies
/// the tokens of the next one during a rolling upgrade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: `{JWT_ISSUER}`, or `{JWT_ISSUER}/t/{slug}` of a path tenant.
    pub iss: String,
    /// The user's id, or the client_id for client credentials.
    pub sub: String,
    /// Audiences, at least one; written as a plain string when it is one (RFC 7519 §4.1.3).
    #[serde(with = "audience")]
    pub aud: Vec<String>,
    /// The client that the token was issued to (RFC 9068 §2.2).
    pub client_id: String,
    /// Authorised party: the same client, for OpenID relying parties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azp: Option<String>,
    /// Granted scopes, separated by spaces.
    #[serde(default)]
    pub scope: String,
    /// Tenant slug; `_system` in a break-glass token.
    pub tid: String,
    /// Session id; absent where nobody is logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Expiry, seconds since the epoch.
    pub exp: i64,
    /// Time of issue, seconds since the epoch.
    pub iat: i64,
    /// Not valid before, seconds since the epoch.
    pub nbf: i64,
    /// Id of the token, for the deny-list.
    pub jti: String,
    /// How the user authenticated (RFC 8176): `pwd`, `otp`, `mfa`, `google`, `refresh`…
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// `loa:1`, or `loa:2` with a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Roles, when the scope asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Permissions, when the scope asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// Namespaced extras, such as `urn:hellojohn:sys` of an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Map<String, Value>>,
}

impl AccessClaims {
    /// Whether `scope` was granted.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }
}

/// `aud` is a string or an array of strings (RFC 7519 §4.1.3).
mod audience {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(aud: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        match aud {
            [only] => only.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(only) => vec![only],
            OneOrMany::Many(many) => many,
        })
    }
}
