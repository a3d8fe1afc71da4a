//! What readers get: discovery and JWKS as they go over the wire, documents as they stand in files. Field
//! order and number forms are pinned, because nodes are compared byte for byte (spec §1.4, §13.1).

use hellojohn_control::documents::{Client, ScopeCatalogue, SigningKey, Tenant};
use hellojohn_control::{Slug, Timestamp, View};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::support::{golden_machine, machine};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn view() -> View {
    golden_machine().view(11)
}

fn acme() -> Slug {
    Slug::parse("acme").unwrap()
}

/// The document as YAML, after checking that it comes back from it unchanged.
fn yaml<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: &T) -> String {
    let yaml = serde_yaml::to_string(document).unwrap();
    assert_eq!(&serde_yaml::from_str::<T>(&yaml).unwrap(), document);
    yaml
}

#[test]
fn global_discovery_and_jwks() {
    let view = view();
    insta::assert_snapshot!("global_discovery", text(&view.global_discovery()));
    insta::assert_snapshot!("global_jwks", text(view.global_keys().jwks()));
}

#[test]
fn tenant_discovery_and_jwks() {
    let view = view();
    let entry = view.tenant(&acme()).unwrap();
    insta::assert_snapshot!("tenant_discovery", text(&view.discovery_of(entry).unwrap()));
    insta::assert_snapshot!("tenant_jwks", text(&view.jwks_of(entry)));
}

/// A node without keys says so truthfully instead of serving something that is no JWKS.
#[test]
fn an_empty_machine_renders_valid_documents() {
    let view = machine().view(0);
    insta::assert_snapshot!("empty_discovery", text(&view.global_discovery()));
    assert_eq!(text(view.global_keys().jwks()), r#"{"keys":[]}"#);
}

#[test]
fn tenant_file() {
    insta::assert_snapshot!(yaml::<Tenant>(&view().tenant(&acme()).unwrap().tenant));
}

#[test]
fn tenant_file_with_defaults() {
    insta::assert_snapshot!(yaml::<Tenant>(&view().tenant(&Slug::parse("local").unwrap()).unwrap().tenant));
}

#[test]
fn client_file() {
    let view = view();
    insta::assert_snapshot!(yaml::<Client>(&view.tenant(&acme()).unwrap().clients["acme-web"]));
}

#[test]
fn scopes_file() {
    insta::assert_snapshot!(yaml::<ScopeCatalogue>(&view().tenant(&acme()).unwrap().scopes));
}

#[test]
fn key_files() {
    let view = view();
    let keys = &view.tenant(&acme()).unwrap().keys;
    for name in ["acme-ec-1", "acme-ec-2", "acme-ed-1"] {
        insta::assert_snapshot!(name, yaml::<SigningKey>(keys.get(name).unwrap()));
    }
    insta::assert_snapshot!(
        "global-rsa-1",
        yaml::<SigningKey>(view.global_keys().get("global-rsa-1").unwrap())
    );
    insta::assert_snapshot!(
        "global-ed-1",
        yaml::<SigningKey>(view.global_keys().get("global-ed-1").unwrap())
    );
}

proptest! {
    /// Text that YAML could take for something else (`yes`, `1e3`, `~`, `- a`, `2026-01-01`) stays text.
    #[test]
    fn any_name_survives_its_file(
        name in prop_oneof![
            r"\PC{1,20}",
            "[-?:,#&*!|>'\"%@`~0-9a-f xo_.eE+{}\\[\\]]{1,8}",
            prop::sample::select(vec![
                "yes", "No", "null", "~", "1e3", "0x1F", "0o17", "1_000", ".5", ".inf", ".nan", "2026-01-01",
                "12:30:45", "- a", "a: b", "a #b", "<<", "=", "%TAG", "---", "...", "\u{feff}a", "\u{85}", "\u{2028}",
            ]).prop_map(str::to_owned),
        ]
    ) {
        let mut tenant = Tenant::new(acme(), Timestamp::default());
        tenant.name = name;
        let text = serde_yaml::to_string(&tenant)?;
        prop_assert_eq!(serde_yaml::from_str::<Tenant>(&text)?, tenant);
    }
}
