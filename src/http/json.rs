//! Strict JSON into types: 400 for what is not JSON, 422 naming the field for what is not acceptable.
//!
//! Stricter than serde alone: an array is no object, a repeated key is refused at every depth (two readers may see two
//! documents, S38), nesting is bounded, and error texts never echo the caller's values.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::json_objects::Objects;
use crate::service::{Code, Error, FieldError};

/// Deepest nesting that is read. The deepest document of the API has five levels.
const MAX_DEPTH: u8 = 32;

/// Parses `bytes` as one JSON document of type `T`.
///
/// # Errors
/// `malformed_json` for bad syntax, a repeated key or deep nesting; `validation_failed` with the field's
/// path and `unknown_field`, `duplicate_field`, `required`, `wrong_type`, `unsupported_value` or `invalid`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    check_shape(bytes)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(Objects(&mut json)).map_err(|error| {
        let path = error.path().to_string();
        Error::invalid(vec![field_error(&path, &error.into_inner())])
    })
}

/// Makes a `T` of a value that [`parse`] has read before.
///
/// # Errors
/// `validation_failed`, as [`parse`].
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(Objects(value)).map_err(|error| {
        let path = error.path().to_string();
        Error::invalid(vec![field_error(&path, &error.into_inner())])
    })
}

fn check_shape(bytes: &[u8]) -> Result<(), Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Shape { depth: MAX_DEPTH }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| Error::bad_input(Code::MalformedJson, error.to_string()))
}

/// Turns serde's text into a stable code. The texts are those of `serde::de::Error`'s default methods,
/// pinned by the tests below.
fn field_error(path: &str, error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    // serde_json appends a position; the field's path says more.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head);
    let expected = || match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {}", json_kind(expected)),
        None => "not acceptable here".to_owned(),
    };
    let named = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?;
        let end = rest.rfind("`, ").or_else(|| rest.rfind('`'))?;
        rest.get(..end)
    };
    if let Some(name) = named("unknown field `") {
        // An unknown field of many: the list of known ones follows the last "expected".
        let name = name.split("`, expected ").next().unwrap_or(name);
        return FieldError::new(child(path, name), "unknown_field", "there is no such field");
    }
    if let Some(name) = named("missing field `") {
        return FieldError::new(child(path, name), "required", "this field is required");
    }
    if let Some(name) = named("duplicate field `") {
        return FieldError::new(child(path, name), "duplicate_field", "this field is given twice");
    }
    let here = if path == "." { String::new() } else { path.to_owned() };
    if text.starts_with("invalid type: ") {
        FieldError::new(here, "wrong_type", expected())
    } else if text.starts_with("unknown variant ") {
        FieldError::new(here, "unsupported_value", expected())
    } else if text.starts_with("invalid value: ") || text.starts_with("invalid length ") {
        FieldError::new(here, "invalid", expected())
    } else {
        // The text of one of our own types, such as an identifier's grammar.
        FieldError::new(here, "invalid", text.to_owned())
    }
}

/// What a caller has to write, where serde names a type of ours.
fn json_kind(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

/// `path.name`. serde_path_to_error may or may not have the offending name at the end of the path already.
fn child(path: &str, name: &str) -> String {
    let name: String = name.chars().take(64).collect();
    match path {
        "." | "" | "?" => name,
        _ if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        _ => format!("{}.{name}", path.trim_end_matches(".?")),
    }
}

/// Walks a document without keeping it.
struct Shape {
    depth: u8,
}

impl Shape {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("a key is repeated"));
            }
            map.next_value_seed(self.deeper()?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
