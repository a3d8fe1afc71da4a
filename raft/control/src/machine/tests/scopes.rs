//! Scope catalogues (spec §2.1, EP105-106).

use serde_json::json;

use super::support::{ACME, Bench, WEB, finding, findings, slug};
use crate::documents::ScopeCatalogue;
use crate::{ClientId, Reject, ScopeName, ScopesMode};

fn names(catalogue: &ScopeCatalogue) -> Vec<&str> {
    catalogue.scopes.iter().map(|scope| scope.name.as_str()).collect()
}

fn current(bench: &Bench) -> ScopeCatalogue {
    ScopeCatalogue::clone(&bench.view().tenant(&slug(ACME)).unwrap().scopes)
}

#[test]
fn a_new_tenant_has_the_standard_scopes() {
    let bench = Bench::with_acme();
    let catalogue = current(&bench);
    assert_eq!(names(&catalogue), ["email", "offline_access", "openid", "profile", "profile:read"]);
    assert_eq!(catalogue.revision, 1);
}

#[test]
fn replace_leaves_exactly_what_is_given_in_alphabetical_order() {
    let mut bench = Bench::with_acme();
    let catalogue =
        bench.scopes(json!([{"name": "z"}, {"name": "a:b", "description": "d"}]), ScopesMode::Replace);
    assert_eq!(names(&catalogue), ["a:b", "z"]);
    assert_eq!(catalogue.revision, 2);
    assert_eq!(current(&bench), *catalogue);
}

#[test]
fn merge_adds_and_changes_and_keeps_the_rest() {
    let mut bench = Bench::with_acme();
    let new = json!([{"name": "a"}, {"name": "openid", "description": "who"}]);
    let catalogue = bench.scopes(new, ScopesMode::Merge);
    assert_eq!(names(&catalogue), ["a", "email", "offline_access", "openid", "profile", "profile:read"]);
    let openid = catalogue.scopes.iter().find(|scope| scope.name.as_str() == "openid").unwrap();
    assert_eq!((openid.description.as_str(), openid.claims.len()), ("who", 0), "a scope is replaced whole");
    assert_eq!(catalogue.revision, 2);
}

#[test]
fn the_same_catalogue_in_another_order_is_no_change() {
    let mut bench = Bench::with_acme();
    bench.scopes(json!([{"name": "a"}, {"name": "b"}]), ScopesMode::Replace);
    let hash = bench.hash();
    let catalogue = bench.scopes(json!([{"name": "b"}, {"name": "a"}]), ScopesMode::Replace);
    assert_eq!(catalogue.revision, 2);
    bench.scopes(json!([{"name": "a"}]), ScopesMode::Merge);
    bench.scopes(json!([]), ScopesMode::Merge);
    assert_eq!(bench.hash(), hash);
}

#[test]
fn a_scope_of_a_client_stays() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({"scopes": ["openid", "email"]}), 1);
    let result = bench.try_scopes(json!([{"name": "email"}]), ScopesMode::Replace);
    let scope = ScopeName::parse("openid").unwrap();
    assert_eq!(result, Err(Reject::ScopeInUse { scope, client_id: ClientId::parse(WEB).unwrap() }));
    bench.client(WEB, json!({"scopes": ["email"]}), 1);
    bench.scopes(json!([{"name": "email"}]), ScopesMode::Replace);
}

#[test]
fn a_catalogue_names_each_scope_once_and_has_a_limit() {
    let mut bench = Bench::with_acme();
    let twice = json!([{"name": "a"}, {"name": "b"}, {"name": "a"}]);
    for mode in [ScopesMode::Replace, ScopesMode::Merge] {
        let result = bench.try_scopes(twice.clone(), mode);
        assert_eq!(findings(result), finding("scopes[2].name", "duplicate"));
    }
    let many: Vec<_> = (0..500).map(|i| json!({"name": format!("s{i}")})).collect();
    bench.scopes(json!(many), ScopesMode::Replace);
    let result = bench.try_scopes(json!([{"name": "one-more"}]), ScopesMode::Merge);
    assert_eq!(findings(result), finding("scopes", "too_many"));
}
