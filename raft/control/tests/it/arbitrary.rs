//! Random commands over few names, so that they meet: tenants come and go, keys are in all states.

use std::collections::BTreeMap;

use hellojohn_control::documents::{
    Alg, ClientPatch, KeySet, NewClientSecret, NewKey, PublicJwk, Scope, SecretHash, TenantPatch,
};
use hellojohn_control::{
    ClientId, Command, Envelope, FORMAT, Idempotency, KeyRef, Kid, Precondition, ScopeName, ScopesMode,
    Sealed, Slug, Timestamp,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn slug() -> impl Strategy<Value = Slug> {
    prop::sample::select(vec!["a", "a", "b"]).prop_map(|text| Slug::parse(text).unwrap())
}

fn client_id() -> impl Strategy<Value = ClientId> {
    prop::sample::select(vec!["web", "job"]).prop_map(|text| ClientId::parse(text).unwrap())
}

fn kid() -> impl Strategy<Value = Kid> {
    (0..7_u8).prop_map(|n| Kid::parse(&format!("kid-000{n}")).unwrap())
}

fn alg() -> impl Strategy<Value = Alg> {
    prop_oneof![4 => Just(Alg::EdDsa), 1 => Just(Alg::Es256), 1 => Just(Alg::Rs256)]
}

fn key_of(kid: Kid, alg: Alg) -> NewKey {
    let x = kid.as_str().to_owned();
    let public_jwk = match alg {
        Alg::EdDsa => PublicJwk::Okp { crv: "Ed25519".to_owned(), x },
        Alg::Es256 => PublicJwk::Ec { crv: "P-256".to_owned(), y: x.clone(), x },
        Alg::Rs256 => PublicJwk::Rsa { n: x, e: "AQAB".to_owned() },
    };
    let private_key = Sealed::parse(&format!("GCMV1:mk:private-{kid}")).unwrap();
    NewKey { kid, alg, public_jwk, private_key }
}

fn key() -> impl Strategy<Value = NewKey> {
    (kid(), alg()).prop_map(|(kid, alg)| key_of(kid, alg))
}

fn set() -> impl Strategy<Value = KeySet> {
    prop_oneof![2 => Just(KeySet::Global), 1 => slug().prop_map(KeySet::Tenant)]
}

fn key_ref() -> impl Strategy<Value = KeyRef> {
    (set(), kid()).prop_map(|(set, kid)| KeyRef { set, kid })
}

/// One member of a merge patch with one of its values.
fn member(name: &'static str, values: Vec<Value>) -> impl Strategy<Value = (&'static str, Value)> {
    (Just(name), prop::sample::select(values))
}

fn object<T: serde::de::DeserializeOwned>(members: Vec<(&str, Value)>) -> T {
    let object = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    serde_json::from_value(Value::Object(object)).unwrap()
}

fn tenant_patch() -> impl Strategy<Value = TenantPatch> {
    let members = prop_oneof![
        member("name", vec![json!("A"), json!("B"), json!(null), json!("")]),
        member("status", vec![json!("active"), json!("suspended"), json!(null)]),
        member(
            "settings",
            vec![
                json!(null),
                json!({"issuerMode": "path"}),
                json!({"issuerMode": "path", "signingAlgs": ["EdDSA", "RS256"]}),
                json!({"issuerMode": null}),
                json!({"issuerOverride": "https://login.example.com"}),
                json!({"tokens": {"accessTtlSeconds": 60}, "userStore": {"dsn": "GCMV1:mk:dsn"}}),
                json!({"tokens": {"accessTtlSeconds": null, "refreshTtlSeconds": 0}}),
                json!({"socialProviders": {"g": {"kind": "google", "clientId": "x"}}}),
                json!({"socialProviders": {"g": null}, "userStore": null}),
            ],
        ),
    ];
    vec(members, 0..3).prop_map(object)
}

fn client_patch() -> impl Strategy<Value = ClientPatch> {
    let members = prop_oneof![
        member("name", vec![json!("A"), json!(null)]),
        member("client_type", vec![json!("confidential"), json!("confidential"), json!("public")]),
        member("scopes", vec![json!(["openid"]), json!(["s1", "s2"]), json!([]), json!(null)]),
        member("redirect_uris", vec![json!(["https://a.example/cb"]), json!(["http://a.example/cb"])]),
        member("grant_types", vec![json!(["client_credentials"]), json!(null)]),
        member("enabled", vec![json!(true), json!(false)]),
    ];
    vec(members, 0..3).prop_map(object)
}

fn secret() -> impl Strategy<Value = NewClientSecret> {
    any::<u8>()
        .prop_map(|n| NewClientSecret { id: Uuid::from_u128(n.into()), hash: SecretHash::new([n; 32]) })
}

fn scope() -> impl Strategy<Value = Scope> {
    let names = vec!["openid", "s1", "s2", "s3"];
    (prop::sample::select(names), prop::sample::select(vec!["", "d"])).prop_map(|(name, description)| Scope {
        name: ScopeName::parse(name).unwrap(),
        description: description.to_owned(),
        claims: Vec::new(),
    })
}

fn on_tenants() -> impl Strategy<Value = Command> {
    let mode = prop_oneof![Just(ScopesMode::Replace), Just(ScopesMode::Merge)];
    prop_oneof![
        10 => (slug(), tenant_patch(), vec(key(), 0..3))
            .prop_map(|(slug, patch, new_keys)| Command::PutTenant { slug, patch, new_keys }),
        1 => slug().prop_map(|slug| Command::DeleteTenant { slug }),
        5 => (slug(), vec(scope(), 0..4), mode)
            .prop_map(|(slug, scopes, mode)| Command::PutScopes { slug, scopes, mode }),
    ]
}

fn on_clients() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => (slug(), client_id(), client_patch(), any::<u8>(), secret()).prop_map(
            |(slug, client_id, patch, id, new_secret)| Command::PutClient {
                slug, client_id, patch, new_id: Uuid::from_u128(id.into()), new_secret,
            }
        ),
        2 => (slug(), client_id()).prop_map(|(slug, client_id)| Command::DeleteClient { slug, client_id }),
        3 => (slug(), client_id(), secret(), 0..100_u32).prop_map(
            |(slug, client_id, secret, overlap_seconds)| Command::RotateClientSecret {
                slug, client_id, secret, overlap_seconds,
            }
        ),
    ]
}

fn on_keys() -> impl Strategy<Value = Command> {
    let seconds = || prop_oneof![9 => prop::sample::select(vec![0, 5, 60, 600]), 1 => Just(u32::MAX)];
    prop_oneof![
        1 => vec(key(), 0..4).prop_map(|keys| Command::EnsureGlobalKeys { keys }),
        6 => (set(), key(), seconds(), seconds(), any::<bool>()).prop_map(
            |(set, key, grace_seconds, prepublish_seconds, activate_now)| Command::RotateKeys {
                set, key, grace_seconds, prepublish_seconds, activate_now,
            }
        ),
        4 => key_ref().prop_map(|KeyRef { set, kid }| Command::ActivateKey { set, kid }),
        2 => vec(key_ref(), 0..5).prop_map(|keys| Command::RetireKeys { keys }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let members = btree_map("[a-c]", 0..4_u64, 0..3);
    prop_oneof![
        10 => on_tenants(),
        10 => on_clients(),
        10 => on_keys(),
        1 => (any::<u128>(), members).prop_map(|(id, members)| Command::FormCluster {
            cluster_id: Uuid::from_u128(id), members,
        }),
        1 => ("[a-c]", option::of(0..3_u128)).prop_map(|(name, drawn)| Command::AdmitNode {
            name, admission: drawn.map(Uuid::from_u128), format: FORMAT,
        }),
        1 => btree_set(0..4_u64, 0..3).prop_map(|seen| Command::RaiseFormat { to: 1, seen }),
        1 => (0..40_u64).prop_map(|through| Command::TrimAudit { through }),
        1 => "[a-e]".prop_map(|name| Command::AddMember { name }),
        1 => "[a-e]".prop_map(|name| Command::PromoteMember { name }),
        1 => "[a-e]".prop_map(|name| Command::RemoveMember { name }),
    ]
}

fn precondition() -> impl Strategy<Value = Option<Precondition>> {
    let condition =
        prop_oneof![Just(Precondition::Absent), vec(0..6_u64, 0..4).prop_map(Precondition::Revision),];
    option::weighted(0.15, condition)
}

/// What most histories begin with, so that they get somewhere: a path tenant and a confidential client.
fn beginning() -> Vec<Command> {
    let slug = Slug::parse("a").unwrap();
    let patch = object(vec![("settings", json!({"issuerMode": "path"}))]);
    let new_keys = vec![key_of(Kid::parse("kid-first").unwrap(), Alg::EdDsa)];
    vec![
        Command::PutTenant { slug: slug.clone(), patch, new_keys },
        Command::PutClient {
            slug,
            client_id: ClientId::parse("web").unwrap(),
            patch: object(vec![("client_type", json!("confidential")), ("scopes", json!(["openid"]))]),
            new_id: Uuid::from_u128(1),
            new_secret: NewClientSecret { id: Uuid::from_u128(2), hash: SecretHash::new([2; 32]) },
        },
    ]
}

/// What half of the histories begin with: a cluster that writes the newest format, and so keeps records.
fn newest_format() -> [Command; 2] {
    let members = BTreeMap::from([("a".to_owned(), 1)]);
    let form = Command::FormCluster { cluster_id: Uuid::from_u128(9), members };
    [form, Command::RaiseFormat { to: FORMAT, seen: [1].into() }]
}

/// Few keys and bodies, so that some come again.
fn idempotency() -> impl Strategy<Value = Option<Idempotency>> {
    let asked = ("[ab]", "[xy]").prop_map(|(key, body_hash)| Idempotency {
        key,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        body_hash,
        secret: None,
    });
    option::weighted(0.1, asked)
}

/// A history: commands whose clock mostly advances and sometimes, after a change of leader, steps back.
pub(crate) fn history() -> impl Strategy<Value = Vec<Envelope>> {
    let steps = vec((command(), precondition(), idempotency(), -3..20_i64), 1..60);
    (prop::bool::weighted(0.8), any::<bool>(), steps).prop_map(|(begun, raised, steps)| {
        let mut beginning = if begun { beginning() } else { Vec::new() };
        if raised {
            beginning.splice(0..0, newest_format());
        }
        let steps = beginning.into_iter().map(|command| (command, None, None, 0)).chain(steps);
        let mut now = 1_800_000_000;
        let stamp = |(command, precondition, idempotency, passed): (_, _, _, i64)| {
            now += passed;
            Envelope {
                at: Timestamp::from_secs(now),
                actor: if now % 4 == 0 { "system" } else { "tester" }.to_owned(),
                request_id: "r".to_owned(),
                ip: None,
                precondition,
                idempotency,
                command,
            }
        };
        steps.map(stamp).collect()
    })
}
