//! The document: the files of the areas as one, with what only the running program knows.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::config::yaml::{self, NotYaml};
use crate::service::Code;

/// What all areas share.
const BASE: (&str, &str) = ("base.yaml", include_str!("base.yaml"));

/// The areas, in the order in which readers see them.
const AREAS: &[(&str, &str)] = &[
    ("accounts.yaml", include_str!("accounts.yaml")),
    ("session.yaml", include_str!("session.yaml")),
    ("mfa.yaml", include_str!("mfa.yaml")),
    ("mail.yaml", include_str!("mail.yaml")),
    ("me.yaml", include_str!("me.yaml")),
    ("tenants.yaml", include_str!("tenants.yaml")),
    ("clients.yaml", include_str!("clients.yaml")),
    ("scopes.yaml", include_str!("scopes.yaml")),
    ("keys.yaml", include_str!("keys.yaml")),
    ("cluster.yaml", include_str!("cluster.yaml")),
    ("users.yaml", include_str!("users.yaml")),
    ("import.yaml", include_str!("import.yaml")),
    ("rbac.yaml", include_str!("rbac.yaml")),
    ("consents.yaml", include_str!("consents.yaml")),
    ("audit.yaml", include_str!("audit.yaml")),
    ("discovery.yaml", include_str!("discovery.yaml")),
    ("health.yaml", include_str!("health.yaml")),
];

/// Why the files are no document; a fault of the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file is not YAML.
    #[error("{file}: {error}")]
    NotYaml {
        /// The file.
        file: &'static str,
        /// The parser's words.
        error: NotYaml,
    },
    /// A file has something where it has no place.
    #[error("{file}: {place} is not what belongs there")]
    Misplaced {
        /// The file.
        file: &'static str,
        /// Where.
        place: String,
    },
    /// Two files describe the same.
    #[error("{file}: {place} is described elsewhere, too")]
    Twice {
        /// The second of them.
        file: &'static str,
        /// What.
        place: String,
    },
    /// The public URL or the tag cannot be written.
    #[error("the document cannot be written: {0}")]
    Unwritable(String),
}

/// The document as it is served. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Document {
    json: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// Puts the document together for an installation at `public_url`. The request has no say in it: what a `Host` header
    /// names would be believed by whoever the answer is passed on to.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn new(public_url: &str) -> Result<Self, Fault> {
        let mut document = object(BASE)?;
        set(&mut document, "info", "version", json!(env!("CARGO_PKG_VERSION")))?;
        document.insert("servers".to_owned(), json!([{ "url": public_url }]));
        for area in AREAS {
            merge(&mut document, *area)?;
        }
        let paths = document.get_mut("paths").and_then(Value::as_object_mut);
        let items = paths.into_iter().flatten().filter_map(|(_, item)| item.as_object_mut());
        for operation in items.flatten().filter_map(|(_, operation)| operation.as_object_mut()) {
            tell_codes(operation);
        }
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let schemas = document.get_mut("components").and_then(|all| all.get_mut("schemas"));
        let schemas =
            schemas.and_then(Value::as_object_mut).ok_or_else(|| misplaced("components.schemas"))?;
        set(schemas, "ProblemCode", "enum", json!(codes))?;
        let unwritable = |error: &dyn std::fmt::Display| Fault::Unwritable(error.to_string());
        let json = serde_json::to_vec(&document).map_err(|error| unwritable(&error))?;
        let etag = HeaderValue::try_from(tag(&json)).map_err(|error| unwritable(&error))?;
        Ok(Self { json: json.into(), etag })
    }

    /// The text; not copied.
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// The tag of the text.
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }
}

fn misplaced(place: &str) -> Fault {
    Fault::Misplaced { file: BASE.0, place: place.to_owned() }
}

fn tag(json: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in Sha256::digest(json).iter().take(16) {
        // Writing to a text cannot fail.
        let _written = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn object((file, text): (&'static str, &str)) -> Result<Map<String, Value>, Fault> {
    match yaml::to_json(text).map_err(|error| Fault::NotYaml { file, error })? {
        Value::Object(object) => Ok(object),
        _ => Err(Fault::Misplaced { file, place: "the whole".to_owned() }),
    }
}

fn set(document: &mut Map<String, Value>, parent: &str, name: &str, value: Value) -> Result<(), Fault> {
    let parent_object = document.get_mut(parent).and_then(Value::as_object_mut);
    parent_object.ok_or_else(|| misplaced(parent))?.insert(name.to_owned(), value);
    Ok(())
}

/// Says the codes of `x-codes` in the description, too: most readers are shown no extensions.
fn tell_codes(operation: &mut Map<String, Value>) {
    let codes = operation.get("x-codes").and_then(Value::as_array);
    let codes: Vec<_> =
        codes.into_iter().flatten().filter_map(Value::as_str).map(|c| format!("`{c}`")).collect();
    if codes.is_empty() {
        return;
    }
    let said =
        operation.get("description").and_then(Value::as_str).map(|text| format!("{}\n\n", text.trim_end()));
    let told = format!("{}Codes: {}.", said.unwrap_or_default(), codes.join(", "));
    operation.insert("description".to_owned(), Value::String(told));
}

/// Adds an area: `paths.{path}.{method}` and `components.{kind}.{name}`, each of which only one file may have.
fn merge(document: &mut Map<String, Value>, area: (&'static str, &str)) -> Result<(), Fault> {
    let file = area.0;
    for (section, groups) in object(area)? {
        let known = matches!(section.as_str(), "paths" | "components");
        let (Value::Object(groups), true) = (groups, known) else {
            return Err(Fault::Misplaced { file, place: section });
        };
        for (group, named) in groups {
            let place = format!("{section}.{group}");
            let target = members(document, &section).and_then(|section| members(section, &group));
            let (Some(target), Value::Object(named)) = (target, named) else {
                return Err(Fault::Misplaced { file, place });
            };
            for (name, value) in named {
                if target.contains_key(&name) {
                    return Err(Fault::Twice { file, place: format!("{place}.{name}") });
                }
                target.insert(name, value);
            }
        }
    }
    Ok(())
}

/// The members of the object `name` in `parent`, which is made if it is not there.
fn members<'a>(parent: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    parent.entry(name).or_insert_with(|| json!({})).as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "paths: {/a: {get: {}}}\ncomponents: {schemas: {A: {}}}";

    fn merged(areas: &[&'static str]) -> Result<Value, Fault> {
        let mut document = Map::new();
        for text in areas {
            merge(&mut document, ("area.yaml", text))?;
        }
        Ok(Value::Object(document))
    }

    #[test]
    fn areas_add_up_also_at_the_same_path() {
        let merged = merged(&[BOTH, "paths: {/a: {put: {}}}"]).unwrap();
        let expected = json!({"paths": {"/a": {"get": {}, "put": {}}}, "components": {"schemas": {"A": {}}}});
        assert_eq!(merged, expected);
    }

    #[test]
    fn what_is_described_twice_or_misplaced_is_refused_by_file_and_place() {
        for (second, expected) in [
            ("paths: {/a: {get: {}}}", "area.yaml: paths./a.get is described elsewhere, too"),
            ("components: {schemas: {A: {}}}", "area.yaml: components.schemas.A is described elsewhere, too"),
            ("path: {}", "area.yaml: path is not what belongs there"),
            ("paths: []", "area.yaml: paths is not what belongs there"),
            ("paths: {/b: 1}", "area.yaml: paths./b is not what belongs there"),
            ("[]", "area.yaml: the whole is not what belongs there"),
        ] {
            assert_eq!(merged(&[BOTH, second]).unwrap_err().to_string(), expected);
        }
        let told = merged(&["paths: {/a: {}, /a: {}}"]).unwrap_err().to_string();
        assert!(told.starts_with("area.yaml: ") && told.contains("duplicate"), "{told}");
    }

    #[test]
    fn codes_are_told_in_the_description() {
        for (operation, expected) in [
            (
                json!({"x-codes": ["email_taken", "user_not_found"]}),
                json!("Codes: `email_taken`, `user_not_found`."),
            ),
            (
                json!({"x-codes": ["email_taken"], "description": "Once.\n"}),
                json!("Once.\n\nCodes: `email_taken`."),
            ),
            (json!({"description": "Once."}), json!("Once.")),
        ] {
            let mut operation = operation.as_object().cloned().unwrap();
            tell_codes(&mut operation);
            assert_eq!(operation["description"], expected);
        }
    }

    #[test]
    fn the_document_says_its_version_and_the_configured_address() {
        let document = Document::new("https://id.example").unwrap();
        let json: Value = serde_json::from_slice(&document.json()).unwrap();
        assert_eq!(json["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(json["servers"], json!([{"url": "https://id.example"}]));
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(json["components"]["schemas"]["ProblemCode"]["enum"], json!(codes));
        let elsewhere = Document::new("https://other.example").unwrap();
        assert_ne!(document.etag(), elsewhere.etag());
        assert_eq!(document.etag(), Document::new("https://id.example").unwrap().etag());
    }
}
