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

/// Everything that the catalogue names for the granted scopes, as far as the account has it: for userinfo.
pub(in crate::service) fn claims(
    entry: &TenantEntry,
    scope: &[ScopeName],
    user: &User,
) -> Map<String, Value> {
    told(entry, scope, |name| standard(name, user).or_else(|| own(name, user)))
}

/// As [`claims`], without the tenant's own attributes: an ID token travels in headers and addresses and must stay small.
pub(super) fn standard_claims(entry: &TenantEntry, scope: &[ScopeName], user: &User) -> Map<String, Value> {
    told(entry, scope, |name| standard(name, user))
}

fn told(
    entry: &TenantEntry,
    scope: &[ScopeName],
    value: impl Fn(&str) -> Option<Value>,
) -> Map<String, Value> {
    let granted = entry.scopes.scopes.iter().filter(|known| scope.contains(&known.name));
    let names = granted.flat_map(|known| &known.claims).map(String::as_str);
    let known = names.filter(|name| !RESERVED.contains(name));
    known.filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
}

fn standard(name: &str, user: &User) -> Option<Value> {
    match name {
        "email" => Some(json!(user.email.as_str())),
        "email_verified" => Some(json!(user.email_verified)),
        "name" => user.name().map(Value::from),
        "given_name" => user.given_name.clone().map(Value::from),
        "family_name" => user.family_name.clone().map(Value::from),
        "picture" => user.picture.clone().map(Value::from),
        "locale" => user.locale.clone().map(Value::from),
        "updated_at" => Some(json!(user.updated_at.secs())),
        _ => None,
    }
}

/// An attribute that the tenant has given its people. None takes the place of a standard one.
fn own(name: &str, user: &User) -> Option<Value> {
    const STANDARD: [&str; 8] =
        ["email", "email_verified", "name", "given_name", "family_name", "picture", "locale", "updated_at"];
    let value = user.custom.get(name).filter(|_| !STANDARD.contains(&name));
    value.filter(|value| !value.is_null()).cloned()
}
