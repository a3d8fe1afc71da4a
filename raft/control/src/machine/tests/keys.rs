//! Which keys may enter a set, and what the JWKS shows of them (S46).

use serde_json::{Value, json};

use super::support::{ACME, Bench, finding, findings, key, put_tenant, rotation, slug, tenant_set};
use crate::documents::{Alg, KeySet, KeyState, NewKey, PublicJwk};
use crate::{Command, Outcome, Reject};

const ALGS: [Alg; 3] = [Alg::EdDsa, Alg::Es256, Alg::Rs256];

fn global_keys() -> Vec<NewKey> {
    ALGS.map(|alg| key(&format!("global-{}", alg.as_str()), alg)).to_vec()
}

fn ensure(bench: &mut Bench, keys: Vec<NewKey>) -> Result<Outcome, Reject> {
    bench.run(Command::EnsureGlobalKeys { keys })
}

#[test]
fn global_keys_are_made_once() {
    let mut bench = Bench::new();
    ensure(&mut bench, global_keys()[..1].to_vec()).unwrap();
    ensure(&mut bench, global_keys()).unwrap();
    let all = ["global-ES256", "global-EdDSA", "global-RS256"];
    assert_eq!(bench.published(&KeySet::Global), all);
    assert!(all.iter().all(|name| bench.state(&KeySet::Global, name) == Some(KeyState::Active)));
    let hash = bench.hash();
    // As another leader would propose them, with keys of its own.
    ensure(&mut bench, ALGS.map(|alg| key(&format!("another-{}", alg.as_str()), alg)).to_vec()).unwrap();
    assert_eq!(bench.hash(), hash);
    assert_eq!(bench.view().global_keys().algs(), ALGS);
}

/// S46: never private parts, never a retired key, always kid, alg and use.
#[test]
fn the_jwks_has_public_parts_of_unretired_keys_only() {
    let mut bench = Bench::new();
    ensure(&mut bench, global_keys()).unwrap();
    let set = KeySet::Global;
    bench.run(rotation(&set, key("retired-1", Alg::EdDsa), 0, 0, true)).unwrap();
    bench.run(rotation(&set, key("retiring-1", Alg::EdDsa), 0, 0, true)).unwrap();
    bench.run(rotation(&set, key("active-1", Alg::EdDsa), 60, 0, true)).unwrap();
    bench.rotate(&set, key("waiting-1", Alg::EdDsa), 60).unwrap();
    let view = bench.view();
    let text = std::str::from_utf8(view.global_keys().jwks()).unwrap();
    assert!(!text.contains("private") && !text.contains("GCMV1"), "{text}");
    let jwks: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        jwks,
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "active-1", "kid": "active-1", "alg": "EdDSA", "use": "sig"},
            {"kty": "EC", "crv": "P-256", "x": "global-ES256", "y": "global-ES256",
             "kid": "global-ES256", "alg": "ES256", "use": "sig"},
            {"kty": "RSA", "n": "global-RS256", "e": "AQAB",
             "kid": "global-RS256", "alg": "RS256", "use": "sig"},
            {"kty": "OKP", "crv": "Ed25519", "x": "retiring-1", "kid": "retiring-1", "alg": "EdDSA", "use": "sig"},
            {"kty": "OKP", "crv": "Ed25519", "x": "waiting-1", "kid": "waiting-1", "alg": "EdDSA", "use": "sig"},
        ]})
    );
}

/// S46: a `d` cannot even be decoded into a key.
#[test]
fn a_private_member_in_a_public_key_is_refused() {
    let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": "abc"});
    assert!(serde_json::from_value::<PublicJwk>(okp).is_ok());
    for jwk in [
        json!({"kty": "OKP", "crv": "Ed25519", "x": "abc", "d": "secret"}),
        json!({"kty": "EC", "crv": "P-256", "x": "abc", "y": "abc", "d": "secret"}),
        json!({"kty": "RSA", "n": "abc", "e": "AQAB", "d": "secret"}),
        json!({"kty": "oct", "k": "secret"}),
    ] {
        assert!(serde_json::from_value::<PublicJwk>(jwk.clone()).is_err(), "{jwk}");
    }
}

/// spec §13.7: global tenants share the global set, path tenants are isolated.
#[test]
fn a_tenants_jwks_is_its_own_or_the_global_one() {
    let mut bench = Bench::new();
    ensure(&mut bench, global_keys()).unwrap();
    bench.tenant(ACME, json!({}));
    let jwks = |bench: &Bench| {
        let view = bench.view();
        let entry = view.tenant(&slug(ACME)).unwrap();
        (view.signing_set(entry), view.jwks_of(entry), view.global_keys().jwks().clone())
    };
    let (set, served, global) = jwks(&bench);
    assert_eq!((set, &served), (KeySet::Global, &global));
    bench.path_tenant(ACME);
    let (set, served, global) = jwks(&bench);
    assert_eq!(set, tenant_set(ACME));
    assert_ne!(served, global);
    assert_eq!(bench.published(&set), ["acme-key-1"]);
}

/// A kid that exists could be that of the key which signs, perhaps with another algorithm.
#[test]
fn a_key_never_replaces_another_under_its_kid() {
    let mut bench = Bench::new();
    bench.path_tenant(ACME);
    let set = tenant_set(ACME);
    for (alg, now) in [(Alg::EdDsa, false), (Alg::EdDsa, true), (Alg::Rs256, false), (Alg::Rs256, true)] {
        let result = bench.run(rotation(&set, key("acme-key-1", alg), 0, 0, now));
        assert_eq!(findings(result), finding("key.kid", "duplicate"));
    }
    let more = json!({"settings": {"signingAlgs": ["EdDSA", "ES256"]}});
    let result = bench.run(put_tenant(ACME, more, &[key("acme-key-1", Alg::Es256)]));
    assert_eq!(findings(result), finding("new_keys.kid", "duplicate"));
    let result = ensure(&mut bench, vec![key("global-1", Alg::EdDsa), key("global-1", Alg::Es256)]);
    assert_eq!(findings(result), finding("keys[1].kid", "duplicate"));
    assert!(bench.view().global_keys().is_empty(), "not the first one either");
}

#[test]
fn a_public_half_fits_its_algorithm() {
    let sound = |alg| key("acme-key-2", alg).public_jwk;
    let okp = |crv: &str, x: &str| PublicJwk::Okp { crv: crv.to_owned(), x: x.to_owned() };
    let mut wrong = vec![
        (Alg::EdDsa, okp("X25519", "abc")),
        (Alg::EdDsa, okp("Ed25519", "")),
        (Alg::EdDsa, okp("Ed25519", "a=b")),
        (Alg::EdDsa, okp("Ed25519", &"a".repeat(1_401))),
    ];
    for alg in ALGS {
        wrong.extend(ALGS.iter().filter(|other| **other != alg).map(|other| (alg, sound(*other))));
    }
    for (alg, public_jwk) in wrong {
        let new = NewKey { public_jwk, ..key("acme-key-2", alg) };
        let mut bench = Bench::new();
        bench.path_tenant(ACME);
        let result = bench.run(rotation(&tenant_set(ACME), new.clone(), 0, 0, true));
        assert_eq!(findings(result), finding("key.public_jwk", "invalid_key"), "{new:?}");
    }
}

/// The directory of the global keys can never be that of a tenant.
#[test]
fn key_sets_are_named_apart() {
    assert_eq!(serde_json::to_value(KeySet::Global).unwrap(), json!("_global"));
    assert_eq!(serde_json::from_value::<KeySet>(json!("acme")).unwrap(), tenant_set(ACME));
    assert!(serde_json::from_value::<KeySet>(json!("_other")).is_err());
    assert!(crate::Slug::parse(KeySet::Global.as_str()).is_err());
}
