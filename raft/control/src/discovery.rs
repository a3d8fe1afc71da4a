//! Discovery documents (OIDC Discovery §3, RFC 8414 §2). They name only what this release serves: a field
//! appears together with the endpoint or feature that it describes.

use bytes::Bytes;
use serde::Serialize;

use crate::documents::{Alg, IssuerMode, ScopeCatalogue, Tenant};
use crate::keyring::KeyRing;
use crate::view::Issuer;

#[derive(Serialize)]
struct Discovery<'a> {
    issuer: &'a str,
    jwks_uri: String,
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: Vec<Alg>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
}

fn render(document: &Discovery<'_>) -> Bytes {
    // Strings in a fixed structure always serialize; an empty body would be caught by every reader.
    serde_json::to_vec(document).map(Bytes::from).unwrap_or_default()
}

pub(crate) fn issuer_of(issuer: &Issuer, tenant: &Tenant) -> String {
    let settings = &tenant.settings;
    match (settings.issuer_mode, &settings.issuer_override) {
        (IssuerMode::Global, _) => issuer.as_str().to_owned(),
        (IssuerMode::Path, Some(replaced)) => replaced.clone(),
        (IssuerMode::Path, None) => format!("{}/t/{}", issuer.as_str(), tenant.slug),
    }
}

pub(crate) fn global(issuer: &Issuer, keys: &KeyRing) -> Bytes {
    render(&Discovery {
        issuer: issuer.as_str(),
        jwks_uri: format!("{}/.well-known/jwks.json", issuer.as_str()),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: keys.algs(),
        scopes_supported: Vec::new(),
    })
}

pub(crate) fn tenant(
    issuer: &Issuer,
    tenant: &Tenant,
    scopes: &ScopeCatalogue,
    keys: &KeyRing,
) -> Option<Bytes> {
    match tenant.settings.issuer_mode {
        IssuerMode::Global => None,
        IssuerMode::Path => Some(render(&Discovery {
            issuer: &issuer_of(issuer, tenant),
            jwks_uri: format!("{}/.well-known/jwks/{}.json", issuer.as_str(), tenant.slug),
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: keys.algs(),
            scopes_supported: scopes.scopes.iter().map(|scope| scope.name.as_str()).collect(),
        })),
    }
}
