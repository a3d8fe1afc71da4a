//! What the scopes of a token tell of a person (OpenID Connect Core §5.1, §5.4).

use hellojohn_control::{ScopeName, TenantEntry};
use serde_json::{Map, Value, json};

use crate::domain::user::User;

/// Claims that say who made a token, for whom and when: no attribute of a person takes their place.
const RESERVED: [&str; 22] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "azp",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "at_hash",
    "c_hash",
    "sid",
    "tid",
    "client_id",
    "scope",
    "roles",
    "permissions",
    "custom",
    "cnf",
];

/// The claims that the catalogue names for the granted scopes, as far as the account has them.
pub(super) fn of(entry: &TenantEntry, scope: &[ScopeName], user: &User) -> Map<String, Value> {
    let granted = entry.scopes.scopes.iter().filter(|known| scope.contains(&known.name));
    let names = granted.flat_map(|known| &known.claims).map(String::as_str);
    let known = names.filter(|name| !RESERVED.contains(name));
    known.filter_map(|name| Some((name.to_owned(), value(name, user)?))).collect()
}

fn value(name: &str, user: &User) -> Option<Value> {
    match name {
        "email" => Some(json!(user.email.as_str())),
        "email_verified" => Some(json!(user.email_verified)),
        "name" => user.name().map(Value::from),
        "given_name" => user.given_name.clone().map(Value::from),
        "family_name" => user.family_name.clone().map(Value::from),
        "picture" => user.picture.clone().map(Value::from),
        "locale" => user.locale.clone().map(Value::from),
        "updated_at" => Some(json!(user.updated_at.secs())),
        other => user.custom.get(other).filter(|value| !value.is_null()).cloned(),
    }
}
