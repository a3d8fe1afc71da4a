//! Documents as YAML, the one module of this crate that knows serde_yaml. Fields stand in the order of the
//! structs; golden files pin the bytes, because all nodes must write the same ones (spec §13.1).

use serde::Serialize;
use serde::de::DeserializeOwned;

use hellojohn_control::documents::{Client, ScopeCatalogue, SigningKey, Tenant};

use super::tree::Document;

/// A document has no YAML form. Cannot happen with documents that went through the log as JSON.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written as YAML: {source}")]
pub(super) struct Unwritable {
    path: String,
    source: serde_yaml::Error,
}

/// The bytes of a document's file.
pub(super) fn render(document: &Document) -> Result<Vec<u8>, Unwritable> {
    let text = match document {
        Document::Tenant(tenant) => serde_yaml::to_string(&**tenant),
        Document::Scopes(_, scopes) => serde_yaml::to_string(&**scopes),
        Document::Client(_, client) => serde_yaml::to_string(&**client),
        Document::Key(_, key) => serde_yaml::to_string(&**key),
    };
    text.map(String::into_bytes)
        .map_err(|source| Unwritable { path: document.path().display().to_string(), source })
}

/// Whether `bytes` are exactly what this release wrote for an earlier state of the document, so that
/// replacing them loses nothing that anyone edited.
pub(super) fn is_earlier(document: &Document, bytes: &[u8]) -> bool {
    match document {
        Document::Tenant(now) => canonical::<Tenant>(bytes)
            .is_some_and(|then| then.slug == now.slug && then.revision < now.revision),
        Document::Scopes(_, now) => {
            canonical::<ScopeCatalogue>(bytes).is_some_and(|then| then.revision < now.revision)
        }
        Document::Client(_, now) => canonical::<Client>(bytes)
            .is_some_and(|then| then.client_id == now.client_id && then.revision < now.revision),
        // A key has no revision; all but its life is settled when it is made.
        Document::Key(_, now) => canonical::<SigningKey>(bytes).is_some_and(|then| {
            then.kid == now.kid
                && then.alg == now.alg
                && then.public_jwk == now.public_jwk
                && then.private_key == now.private_key
                && then.created_at == now.created_at
        }),
    }
}

/// The document that the bytes are the one right form of.
fn canonical<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Option<T> {
    let document: T = serde_yaml::from_slice(bytes).ok()?;
    let again = serde_yaml::to_string(&document).ok()?;
    (again.as_bytes() == bytes).then_some(document)
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
