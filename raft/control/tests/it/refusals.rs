//! What is not exactly a released format stops the member with a clear error; nothing is skipped or guessed
//! (spec §2.1, S110).

use hellojohn_control::{Batch, Image, ImageError};
use serde_json::{Value, json};

use crate::support::golden_files;

const STRANGER: &str = "zz_stranger";

/// The document once for each object in it, each time with a member that nobody knows in that object.
fn with_a_stranger(document: &Value) -> Vec<(String, Value)> {
    fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
        if let Some(object) = value.as_object() {
            found.push(path.to_owned());
            for (name, member) in object {
                objects(member, &format!("{path}/{name}"), found);
            }
        }
        for (i, item) in value.as_array().into_iter().flatten().enumerate() {
            objects(item, &format!("{path}/{i}"), found);
        }
    }
    let mut paths = Vec::new();
    objects(document, "", &mut paths);
    let changed = paths.into_iter().map(|path| {
        let mut copy = document.clone();
        copy.pointer_mut(&path).unwrap()[STRANGER] = json!({ STRANGER: true });
        (path, copy)
    });
    changed.collect()
}

/// Objects whose members are names, not fields: there a stranger fails by what it holds.
fn is_map(path: &str) -> bool {
    ["/members", "/socialProviders", "/tombstones", "/precondition"].iter().any(|map| path.ends_with(map))
}

#[test]
fn an_unknown_field_anywhere_in_a_batch_is_refused_by_name() {
    let mut objects = 0;
    for (name, text) in golden_files().into_iter().filter(|(name, _)| !name.starts_with("image")) {
        for (path, document) in with_a_stranger(&serde_json::from_str(&text).unwrap()) {
            let error = serde_json::from_str::<Batch>(&document.to_string()).expect_err(&path).to_string();
            assert!(is_map(&path) || error.contains(STRANGER), "{name}{path}: {error}");
            objects += 1;
        }
    }
    assert!(objects > 80, "{objects}: every object of every golden file");
}

#[test]
fn an_unknown_field_anywhere_in_an_image_is_refused_by_name() {
    for (name, text) in golden_files().into_iter().filter(|(name, _)| name.starts_with("image")) {
        for (path, document) in with_a_stranger(&serde_json::from_str(&text).unwrap()) {
            let error = Image::decode(document.to_string().as_bytes()).expect_err(&path).to_string();
            assert!(is_map(&path) || error.contains(STRANGER), "{name}{path}: {error}");
        }
    }
}

fn batch(command: &Value) -> Value {
    let at = "2026-11-22T00:00:00.000Z";
    json!({"v": 1, "items": [{"at": at, "actor": "a", "request_id": "r", "command": command}]})
}

fn refusal(document: &str) -> String {
    serde_json::from_str::<Batch>(document).unwrap_err().to_string()
}

#[test]
fn an_unknown_command_is_refused_by_name() {
    let error = refusal(&batch(&json!({"type": "drop_everything"})).to_string());
    assert!(error.contains("unknown variant `drop_everything`, expected one of `form_cluster`"), "{error}");
    let error = refusal(&batch(&json!({"slug": "acme"})).to_string());
    assert!(error.contains("missing field `type`"), "{error}");
}

/// Even if everything else in the entry is new too, the version is what the operator reads.
#[test]
fn a_newer_batch_is_refused_by_its_version() {
    for document in [
        r#"{"v":4,"items":[]}"#,
        r#"{"v":4,"items":[{"command":{"type":"new"}}],"more":1}"#,
        r#"{"v":4,"more":{}}"#,
    ] {
        let error = refusal(document);
        assert!(
            error.starts_with(
                "log entry has format version 4, this release knows versions up to 3; upgrade this node"
            ),
            "{error}"
        );
    }
}

#[test]
fn a_batch_has_exactly_a_version_and_items() {
    assert!(serde_json::from_str::<Batch>(r#"{"items":[],"v":1}"#).is_ok());
    for (document, why) in [
        ("{}", "missing field `v`"),
        (r#"{"items":[]}"#, "missing field `v`"),
        (r#"{"v":1}"#, "missing field `items`"),
        (r#"{"v":1,"v":1,"items":[]}"#, "duplicate field `v`"),
        (r#"{"v":1,"items":[],"items":[]}"#, "duplicate field `items`"),
        (r#"{"v":1,"items":[],"more":1}"#, "unknown field `more`"),
        (r#"{"v":0,"items":[]}"#, "format version 0"),
        (r#"{"v":70000,"items":[]}"#, "expected u16"),
        (r#"[1,[]]"#, "a batch of commands with its version"),
    ] {
        let error = refusal(document);
        assert!(error.contains(why), "{document}: {error}");
    }
}

#[test]
fn a_newer_image_is_refused_by_its_version() {
    let error = Image::decode(br#"{"v":4,"everything":"new"}"#).unwrap_err();
    assert!(matches!(error, ImageError::UnknownVersion { found: 4 }));
    assert_eq!(
        error.to_string(),
        "snapshot image has format version 4, this release knows versions up to 3; upgrade this node"
    );
    assert!(matches!(Image::decode(b"not an image"), Err(ImageError::Malformed(_))));
}

#[test]
fn an_image_that_holds_a_document_twice_is_refused_and_changes_nothing() {
    let golden = golden_files().into_iter().find(|(name, _)| name.starts_with("image")).unwrap().1;
    let golden: Value = serde_json::from_str(&golden).unwrap();
    for (list, what) in [
        ("/tenants", "tenant acme"),
        ("/tenants/0/clients", "client acme-spa of tenant acme"),
        ("/tenants/0/keys", "key acme-ec-1"),
        ("/global_keys", "key global-ec-1"),
    ] {
        let mut image = golden.clone();
        let documents = image.pointer_mut(list).unwrap().as_array_mut().unwrap();
        documents.push(documents[0].clone());
        let image = Image::decode(image.to_string().as_bytes()).unwrap();
        let mut machine = crate::support::machine();
        let error = machine.install(image).unwrap_err();
        assert_eq!(error.to_string(), format!("snapshot image holds {what} twice"));
        assert_eq!(machine.image(), crate::support::machine().image());
    }
}

/// S105: an identifier is checked wherever it comes from, also in a log or a snapshot.
#[test]
fn a_bad_identifier_in_the_log_is_refused() {
    for bad in ["..", "../x", "a/b", "A", "", "a\u{0}", ".well-known", "jwks.json", "-a", "é", "_global"] {
        let error = refusal(&batch(&json!({"type": "delete_tenant", "slug": bad})).to_string());
        assert!(error.contains("slug must match ^[a-z0-9]"), "{bad}: {error}");
    }
    let error =
        refusal(&batch(&json!({"type": "delete_client", "slug": "a", "client_id": "../x"})).to_string());
    assert!(error.contains("client_id must match"), "{error}");
    let error =
        refusal(&batch(&json!({"type": "activate_key", "set": "_other", "kid": "12345678"})).to_string());
    assert!(error.contains("slug must match"), "{error}");
    let error = refusal(&batch(&json!({"type": "activate_key", "set": "a", "kid": "../../etc"})).to_string());
    assert!(error.contains("kid must match"), "{error}");
}

/// Architecture rule 7: plaintext in the log is a type error, also for who writes JSON by hand.
#[test]
fn a_secret_that_is_not_sealed_is_refused_and_not_repeated() {
    let settings = json!({"userStore": {"dsn": "postgres://user:hunter2@db/app"}});
    let command = json!({"type": "put_tenant", "slug": "a", "patch": {"settings": settings}});
    let error = refusal(&batch(&command).to_string());
    assert!(error.contains("GCMV1:<master-key-id>:<base64url>"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
