//! Clients and their secrets (spec §2.1, §13.10).

use serde_json::json;
use uuid::Uuid;

use super::support::{ACME, Bench, WEB, client_id, finding, findings, put_client, secret, slug};
use crate::documents::{AuthMethod, Client, ClientType, GrantType, NewClientSecret};
use crate::{Command, Outcome, Reject, Timestamp, limits};

fn rotate(bench: &mut Bench, new: NewClientSecret, overlap_seconds: u32) -> Result<Outcome, Reject> {
    let (slug, client_id) = (slug(ACME), client_id(WEB));
    bench.run(Command::RotateClientSecret { slug, client_id, secret: new, overlap_seconds })
}

fn delete(bench: &mut Bench, tenant: &str, id: &str) -> Result<Outcome, Reject> {
    bench.run(Command::DeleteClient { slug: slug(tenant), client_id: client_id(id) })
}

fn current(bench: &Bench) -> Client {
    Client::clone(bench.view().client(&slug(ACME), &client_id(WEB)).unwrap())
}

/// Last byte of each secret's id, and when it stops working in seconds from now.
fn secrets(bench: &Bench) -> Vec<(u128, Option<i64>)> {
    let ends = |at: Timestamp| at.secs() - bench.now;
    current(bench).secrets.iter().map(|s| (s.id.as_u128(), s.expires_at.map(ends))).collect()
}

#[test]
fn a_new_client_is_public_with_code_and_refresh() {
    let mut bench = Bench::with_acme();
    let (client, secret_taken) = bench.client(WEB, json!({}), 1);
    assert!(!secret_taken && client.secrets.is_empty());
    assert_eq!((client.name.as_str(), client.client_type), (WEB, ClientType::Public));
    assert_eq!(client.id, Uuid::from_u128(1 << 64));
    assert_eq!(client.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
    assert_eq!(client.token_endpoint_auth_method, AuthMethod::None);
    assert!(client.enabled && client.require_pkce && !client.require_consent);
    assert_eq!((client.version, client.revision), (1, 1));
}

#[test]
fn a_client_needs_its_tenant() {
    assert_eq!(Bench::new().try_client(WEB, json!({}), 1), Err(Reject::TenantNotFound));
}

/// spec §13.10, RFC 7396; spec §3.3: a client's version equals its revision.
#[test]
fn a_change_merges_and_counts() {
    let mut bench = Bench::with_acme();
    let uris = json!(["https://a.example.com/cb", "https://b.example.com/cb"]);
    bench.client(WEB, json!({"redirect_uris": uris, "access_ttl_seconds": 60, "name": "Web"}), 1);
    bench.now += 60;
    let (client, _) = bench.client(WEB, json!({"redirectUris": ["https://c.example.com/cb"]}), 2);
    assert_eq!(client.redirect_uris, ["https://c.example.com/cb"], "arrays replace whole");
    assert_eq!((client.name.as_str(), client.access_ttl_seconds), ("Web", Some(60)));
    assert_eq!(client.id, Uuid::from_u128(1 << 64), "a change does not make it another client");
    assert_eq!((client.version, client.revision, client.updated_at), (2, 2, bench.at()));
    let cleared = json!({"name": null, "access_ttl_seconds": null, "redirect_uris": null, "enabled": null});
    let (client, _) = bench.client(WEB, cleared, 3);
    assert_eq!((client.name.as_str(), client.access_ttl_seconds), (WEB, None));
    assert!(client.redirect_uris.is_empty() && client.enabled);
}

#[test]
fn a_put_that_changes_nothing_keeps_revision_and_secret() {
    let mut bench = Bench::with_acme();
    let patch = json!({"client_type": "confidential", "grant_types": ["client_credentials"]});
    let (first, taken) = bench.client(WEB, patch.clone(), 1);
    assert!(taken);
    let hash = bench.hash();
    bench.now += 60;
    let (second, taken) = bench.client(WEB, patch, 2);
    assert_eq!((second, taken), (first, false));
    assert_eq!(bench.hash(), hash);
}

#[test]
fn unknown_scopes_are_named() {
    let mut bench = Bench::with_acme();
    let result = bench.try_client(WEB, json!({"scopes": ["openid", "billing"]}), 1);
    assert_eq!(findings(result), finding("scopes[1]", "unknown_scope"));
}

/// S03 and the rules of RFC 9700 for public clients.
#[test]
fn what_a_client_may_not_be() {
    for (patch, field, code) in [
        (
            json!({"redirect_uris": ["http://app.example.com/cb"]}),
            "redirect_uris[0]",
            "insecure_redirect_uri",
        ),
        (json!({"redirect_uris": ["https://a.example/cb#x"]}), "redirect_uris[0]", "invalid_url"),
        (
            json!({"redirect_uris": ["https://a.example/", "https://a.example/"]}),
            "redirect_uris[1]",
            "duplicate",
        ),
        (
            json!({"post_logout_redirect_uris": ["javascript:x"]}),
            "post_logout_redirect_uris[0]",
            "invalid_url",
        ),
        (json!({"allowed_origins": ["https://a.example/"]}), "allowed_origins[0]", "invalid_origin"),
        (json!({"name": "a\nb"}), "name", "invalid_characters"),
        (json!({"name": "x".repeat(201)}), "name", "too_long"),
        (json!({"access_ttl_seconds": 0}), "access_ttl_seconds", "out_of_range"),
        (json!({"access_ttl_seconds": 86_401}), "access_ttl_seconds", "out_of_range"),
        (json!({"grant_types": ["client_credentials"]}), "grant_types", "invalid_value"),
        (json!({"require_pkce": false}), "require_pkce", "invalid_value"),
        (
            json!({"token_endpoint_auth_method": "client_secret_post"}),
            "token_endpoint_auth_method",
            "invalid_value",
        ),
        (
            json!({"client_type": "confidential", "token_endpoint_auth_method": "none"}),
            "token_endpoint_auth_method",
            "invalid_value",
        ),
    ] {
        let result = Bench::with_acme().try_client(WEB, patch.clone(), 1);
        assert_eq!(findings(result), finding(field, code), "{patch}");
    }
    let many: Vec<_> = (0..101).map(|i| format!("https://a.example/{i}")).collect();
    let result = Bench::with_acme().try_client(WEB, json!({"redirect_uris": many}), 1);
    assert_eq!(findings(result), finding("redirect_uris", "too_many"));
}

#[test]
fn a_client_that_becomes_confidential_gets_the_secret_and_loses_it_as_public() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({}), 1);
    let (client, taken) = bench.client(WEB, json!({"client_type": "confidential"}), 2);
    assert!(taken);
    assert_eq!(client.token_endpoint_auth_method, AuthMethod::ClientSecretBasic);
    assert_eq!(secrets(&bench), [(2, None)]);
    let (client, taken) = bench.client(WEB, json!({"client_type": "public"}), 3);
    assert!(!taken && client.secrets.is_empty());
    assert_eq!(client.token_endpoint_auth_method, AuthMethod::None);
    let (_, taken) = bench.client(WEB, json!({"client_type": "confidential"}), 4);
    assert!(taken);
    assert_eq!(secrets(&bench), [(4, None)], "the old secret does not come back");
}

#[test]
fn a_rotated_secret_overlaps_with_the_old_one() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({"client_type": "confidential"}), 1);
    let outcome = rotate(&mut bench, secret(2), 100).unwrap();
    assert!(matches!(outcome, Outcome::Client { created: false, secret_taken: true, .. }));
    assert_eq!(secrets(&bench), [(1, Some(100)), (2, None)]);
    assert_eq!((current(&bench).version, current(&bench).revision), (2, 2));
    bench.now += 40;
    rotate(&mut bench, secret(3), 10).unwrap();
    assert_eq!(secrets(&bench), [(1, Some(10)), (2, Some(10)), (3, None)], "an end moves nearer, never away");
    rotate(&mut bench, secret(4), 1000).unwrap();
    assert_eq!(secrets(&bench), [(1, Some(10)), (2, Some(10)), (3, Some(1000)), (4, None)]);
    bench.now += 10;
    rotate(&mut bench, secret(5), 1000).unwrap();
    assert_eq!(secrets(&bench), [(3, Some(990)), (4, Some(1000)), (5, None)], "what has ended is forgotten");
}

#[test]
fn without_overlap_the_old_secrets_go_at_once() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({"client_type": "confidential"}), 1);
    rotate(&mut bench, secret(2), 100).unwrap();
    rotate(&mut bench, secret(3), 0).unwrap();
    assert_eq!(secrets(&bench), [(3, None)]);
}

#[test]
fn the_number_of_secrets_and_the_overlap_are_limited() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({"client_type": "confidential"}), 1);
    for n in 2..20 {
        rotate(&mut bench, secret(n), 1000).unwrap();
    }
    let ids: Vec<u128> = secrets(&bench).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [15, 16, 17, 18, 19], "the oldest go first");
    let result = rotate(&mut bench, secret(20), limits::GRACE_SECONDS + 1);
    assert_eq!(findings(result), finding("overlapSeconds", "out_of_range"));
}

#[test]
fn a_public_client_has_no_secret_to_rotate() {
    let mut bench = Bench::with_acme();
    assert_eq!(rotate(&mut bench, secret(1), 0), Err(Reject::ClientNotFound));
    bench.client(WEB, json!({}), 1);
    assert_eq!(rotate(&mut bench, secret(1), 0), Err(Reject::PublicClient));
}

/// spec §3.3: revisions count on; spec §4: a client that comes back is another one.
#[test]
fn a_client_that_comes_back_counts_on_under_a_new_id() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({"client_type": "confidential"}), 1);
    bench.client(WEB, json!({"name": "Web"}), 1);
    assert_eq!(delete(&mut bench, ACME, WEB), Ok(Outcome::ClientDeleted { id: Uuid::from_u128(1 << 64) }));
    assert_eq!(delete(&mut bench, ACME, WEB), Err(Reject::ClientNotFound));
    let (client, _) = bench.client(WEB, json!({}), 2);
    assert_eq!((client.revision, client.version, client.name.as_str()), (3, 3, WEB));
    assert_eq!(client.id, Uuid::from_u128(2 << 64));
    assert!(client.secrets.is_empty());
}

#[test]
fn a_client_of_a_deleted_tenant_counts_on_too() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({}), 1);
    bench.client(WEB, json!({"name": "Web"}), 1);
    bench.client("gone", json!({}), 1);
    delete(&mut bench, ACME, "gone").unwrap();
    bench.run(Command::DeleteTenant { slug: slug(ACME) }).unwrap();
    bench.tenant(ACME, json!({}));
    assert_eq!(bench.client(WEB, json!({}), 1).0.revision, 3);
    assert_eq!(bench.client("gone", json!({}), 1).0.revision, 2);
    assert_eq!(bench.client("new", json!({}), 1).0.revision, 1);
}

/// spec §13.7: a client id may repeat across tenants.
#[test]
fn the_same_client_id_in_two_tenants_is_two_clients() {
    let mut bench = Bench::with_acme();
    bench.tenant("other", json!({}));
    bench.client(WEB, json!({"name": "one"}), 1);
    bench.run(put_client("other", WEB, json!({"name": "two"}), 2)).unwrap();
    delete(&mut bench, "other", WEB).unwrap();
    assert_eq!(current(&bench).name, "one");
}

#[test]
fn the_number_of_clients_is_limited() {
    let mut bench = Bench::with_acme();
    bench.client(WEB, json!({}), 1);
    let mut entry = bench.machine.state.tenants.get(&slug(ACME)).unwrap().as_ref().clone();
    let client = entry.clients.get(WEB).unwrap().clone();
    for i in 1..limits::CLIENTS_PER_TENANT {
        entry.clients.insert(client_id(&format!("c{i}")), client.clone());
    }
    bench.machine.store(&slug(ACME), entry);
    let full = Reject::LimitReached { what: "clients".to_owned(), limit: 10_000 };
    assert_eq!(bench.try_client("one-more", json!({}), 1), Err(full));
    bench.client(WEB, json!({"name": "those that exist can still change"}), 1);
}
