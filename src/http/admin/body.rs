//! Bodies of PUT: merge patches, with the members that a GET shows and nobody can set taken out (spec §13.10).
//!
//! What a GET answers can be sent back as it is: `revision`, times, ids and the marks of secrets
//! (`dsnSet`, …) are ignored, a name must be the one in the path, anything else is refused by name.

use hellojohn_control::documents::ClientPatch;
use hellojohn_control::{ClientId, Slug};
use serde_json::{Map, Value};

use crate::http::json;
use crate::service::control::TenantInput;
use crate::service::{Error, Result};

/// A JSON object, member by member.
pub(super) type Object = Map<String, Value>;

/// Members that every document shows and nobody can set.
const STAMPS: [&str; 5] = ["revision", "created_at", "createdAt", "updated_at", "updatedAt"];

/// A tenant's patch.
///
/// # Errors
/// `validation_failed`, naming each unknown or unfit member; also for the slug of another tenant.
pub(super) fn tenant(mut body: Object, slug: &Slug) -> Result<TenantInput> {
    drop_members(&mut body, &STAMPS);
    same_name(&mut body, &["slug"], slug.as_str())?;
    if let Some(settings) = object(&mut body, &["settings"]) {
        if let Some(store) = object(settings, &["userStore", "user_store"]) {
            drop_members(store, &["dsnSet", "dsn_set"]);
        }
        if let Some(smtp) = object(settings, &["smtp"]) {
            drop_members(smtp, &["passwordSet", "password_set"]);
        }
        if let Some(providers) = object(settings, &["socialProviders", "social_providers"]) {
            for provider in providers.values_mut().filter_map(Value::as_object_mut) {
                drop_members(provider, &["clientSecretSet", "client_secret_set"]);
            }
        }
    }
    json::from_value(Value::Object(body))
}

/// A client's patch.
///
/// # Errors
/// As [`tenant`].
pub(super) fn client(mut body: Object, client_id: &ClientId) -> Result<ClientPatch> {
    drop_members(&mut body, &STAMPS);
    drop_members(&mut body, &["id", "version", "secrets"]);
    same_name(&mut body, &["client_id", "clientId"], client_id.as_str())?;
    json::from_value(Value::Object(body))
}

fn drop_members(object: &mut Object, names: &[&str]) {
    for name in names {
        object.remove(*name);
    }
}

fn object<'a>(parent: &'a mut Object, names: &[&str]) -> Option<&'a mut Object> {
    let name = names.iter().find(|name| parent.contains_key(**name))?;
    parent.get_mut(*name)?.as_object_mut()
}

/// A name in the body must be the one in the path: a document is not renamed by a PUT.
fn same_name(body: &mut Object, names: &[&'static str], expected: &str) -> Result<()> {
    for name in names {
        if let Some(value) = body.remove(*name)
            && value.as_str() != Some(expected)
        {
            let message = format!("must be {expected}, as in the path; a name cannot be changed");
            return Err(Error::invalid_field(*name, "mismatch", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hellojohn_control::documents::Patch;
    use serde_json::json;

    use super::*;
    use crate::service::{Code, Payload};

    fn acme() -> Slug {
        Slug::parse("acme").unwrap()
    }

    fn map(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    fn field(error: &Error) -> (String, String) {
        match error.payload() {
            Payload::Fields(fields) => (fields[0].field.to_string(), fields[0].code.to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// spec §13.10
    #[test]
    fn what_a_get_shows_and_nobody_sets_is_ignored() {
        let body = json!({
            "slug": "acme", "revision": 7, "created_at": "x", "updatedAt": 1, "name": "Acme",
            "settings": {
                "userStore": {"dsnSet": true},
                "smtp": {"passwordSet": true, "host": "h"},
                "socialProviders": {"google": {"clientSecretSet": false, "enabled": false}},
            },
        });
        let patch = tenant(map(body), &acme()).unwrap();
        let settings = patch.settings.as_set().unwrap();
        assert!(settings.user_store.as_set().unwrap().dsn.is_keep());
        assert!(settings.smtp.as_set().unwrap().password.is_keep());
        let providers = settings.social_providers.as_set().unwrap();
        assert_eq!(providers["google"].as_set().unwrap().enabled, Patch::Set(false));
    }

    /// spec §13.10: a differing slug in the body is 422
    #[test]
    fn a_name_that_is_not_the_one_in_the_path_is_refused() {
        for slug in [json!("other"), json!(7), json!(null)] {
            let error = tenant(map(json!({"slug": slug})), &acme()).unwrap_err();
            assert_eq!(error.code(), Code::ValidationFailed);
            assert_eq!(field(&error), ("slug".into(), "mismatch".into()));
        }
        let web = ClientId::parse("web").unwrap();
        let error = client(map(json!({"clientId": "other"})), &web).unwrap_err();
        assert_eq!(field(&error).0, "clientId");
        assert!(client(map(json!({"client_id": "web", "id": "x", "secrets": []})), &web).is_ok());
    }

    /// spec §5, S102
    #[test]
    fn unknown_members_are_refused_by_name_at_every_depth() {
        let refused = |body: Value| field(&tenant(map(body), &acme()).unwrap_err());
        assert_eq!(refused(json!({"plan": 1})), ("plan".into(), "unknown_field".into()));
        assert_eq!(refused(json!({"settings": {"colour": 1}})).0, "settings.colour");
        assert_eq!(refused(json!({"settings": {"userStore": {"url": 1}}})).0, "settings.userStore.url");
        let web = ClientId::parse("web").unwrap();
        let error = client(map(json!({"client_secret": "mine"})), &web).unwrap_err();
        assert_eq!(field(&error), ("client_secret".into(), "unknown_field".into()));
    }

    /// S111: a secret of the wrong type is not quoted.
    #[test]
    fn a_secret_of_the_wrong_type_is_refused_without_its_value() {
        let body = json!({"settings": {"userStore": {"dsn": 7_316_254}}});
        let error = tenant(map(body), &acme()).unwrap_err();
        assert_eq!(field(&error), ("settings.userStore.dsn".into(), "wrong_type".into()));
        assert!(!format!("{error:?}").contains("7316254"));
    }
}
