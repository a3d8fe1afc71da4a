//! Tenants: creation, merge, deletion, path issuers (spec §2.1, §13.3, §13.10).

use serde_json::{Value, json};

use super::support::{ACME, Bench, WEB, finding, findings, key, put_client, put_tenant, slug, tenant_set};
use crate::documents::{Alg, IssuerMode, TenantStatus};
use crate::{Command, Outcome, Reject, limits};

fn settings(bench: &Bench) -> Value {
    serde_json::to_value(&bench.view().tenant(&slug(ACME)).unwrap().tenant.settings).unwrap()
}

fn delete(bench: &mut Bench, name: &str) -> Result<Outcome, Reject> {
    bench.run(Command::DeleteTenant { slug: slug(name) })
}

#[test]
fn a_new_tenant_is_active_and_named_after_its_slug() {
    let mut bench = Bench::new();
    let (tenant, created) = bench.tenant(ACME, json!({}));
    assert!(created);
    assert_eq!((tenant.name.as_str(), tenant.status, tenant.revision), (ACME, TenantStatus::Active, 1));
    assert_eq!((tenant.created_at, tenant.updated_at), (bench.at(), bench.at()));
    assert_eq!(tenant.settings.issuer_mode, IssuerMode::Global);
}

#[test]
fn a_change_counts_and_keeps_what_it_does_not_name() {
    let mut bench = Bench::with_acme();
    let made = bench.at();
    bench.now += 60;
    let (tenant, created) = bench.tenant(ACME, json!({"name": "Acme Inc."}));
    assert!(!created);
    assert_eq!((tenant.name.as_str(), tenant.revision), ("Acme Inc.", 2));
    assert_eq!((tenant.created_at, tenant.updated_at), (made, bench.at()));
    let (tenant, _) = bench.tenant(ACME, json!({"status": "suspended"}));
    assert_eq!((tenant.name.as_str(), tenant.status), ("Acme Inc.", TenantStatus::Suspended));
    let (tenant, _) = bench.tenant(ACME, json!({"name": null, "status": null}));
    assert_eq!((tenant.name.as_str(), tenant.status, tenant.revision), (ACME, TenantStatus::Active, 4));
}

#[test]
fn a_put_that_changes_nothing_keeps_revision_and_time() {
    let mut bench = Bench::new();
    let patch = json!({"name": "A", "settings": {"tokens": {"accessTtlSeconds": 60}}});
    let (first, _) = bench.tenant(ACME, patch.clone());
    let hash = bench.hash();
    bench.now += 60;
    let (second, created) = bench.tenant(ACME, patch);
    assert!(!created);
    assert_eq!(second, first);
    assert_eq!(bench.hash(), hash);
}

/// spec §13.10, RFC 7396: nested objects merge, `null` removes, arrays replace whole.
#[test]
fn settings_merge_like_rfc_7396() {
    let mut bench = Bench::new();
    bench.tenant(
        ACME,
        json!({"settings": {
            "tokens": {"accessTtlSeconds": 60, "refreshTtlSeconds": 600},
            "signingAlgs": ["EdDSA", "RS256"],
            "userStore": {"dsn": "GCMV1:mk1:dsn"},
            "smtp": {"host": "mail.example.com", "from": "a@example.com", "password": "GCMV1:mk1:smtp"},
            "socialProviders": {
                "google": {"kind": "google", "clientId": "g", "clientSecret": "GCMV1:mk1:g", "scopes": ["a", "b"]},
                "corp": {"kind": "oidc", "clientId": "c", "issuer": "https://corp.example.com"},
            },
        }}),
    );
    bench.tenant(
        ACME,
        json!({"settings": {
            "tokens": {"accessTtlSeconds": null},
            "signingAlgs": ["ES256"],
            "smtp": {"port": 465, "password": null},
            "socialProviders": {"google": {"enabled": false, "scopes": ["c"]}, "corp": null},
        }}),
    );
    assert_eq!(
        settings(&bench),
        json!({
            "issuerMode": "global",
            "discoveryEndpoints": "global",
            "signingAlgs": ["ES256"],
            "tokens": {"refreshTtlSeconds": 600},
            "userStore": {"dsn": "GCMV1:mk1:dsn"},
            "smtp": {"host": "mail.example.com", "port": 465, "from": "a@example.com", "tls": "starttls"},
            "socialProviders": {"google": {
                "kind": "google", "enabled": false, "clientId": "g", "clientSecret": "GCMV1:mk1:g", "scopes": ["c"],
            }},
        })
    );
    bench.tenant(
        ACME,
        json!({"settings": {"userStore": {"dsn": null}, "socialProviders": null, "smtp": null}}),
    );
    bench.tenant(ACME, json!({"settings": {"tokens": null, "signingAlgs": null, "userStore": {}}}));
    let defaults = json!({"issuerMode": "global", "discoveryEndpoints": "global", "signingAlgs": ["EdDSA"]});
    assert_eq!(settings(&bench), defaults);
    bench.tenant(ACME, json!({"settings": {"branding": {"displayName": "A"}}}));
    bench.tenant(ACME, json!({"settings": null}));
    assert_eq!(settings(&bench), defaults);
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let mut bench = Bench::with_acme();
    let result = bench.try_tenant(
        ACME,
        json!({"name": " ", "settings": {
            "issuerOverride": "http://login.example.com",
            "signingAlgs": [],
            "tokens": {"accessTtlSeconds": 0},
            "passwordPolicy": {"minLength": 100, "maxLength": 64},
            "branding": {"primaryColor": "red"},
            "smtp": {"host": "mail.example.com"},
            "socialProviders": {
                "corp": {"kind": "oidc", "clientId": "c", "scopes": [""]},
                "new": {"clientId": "x"},
            },
        }}),
    );
    let wrong = findings(result);
    let expected = [
        ("settings.socialProviders.new.kind", "required"),
        ("name", "required"),
        ("settings.issuerOverride", "insecure_url"),
        ("settings.signingAlgs", "required"),
        ("settings.tokens.accessTtlSeconds", "out_of_range"),
        ("settings.passwordPolicy.minLength", "out_of_range"),
        ("settings.branding.primaryColor", "invalid_color"),
        ("settings.smtp.from", "required"),
        ("settings.socialProviders.corp.scopes[0]", "required"),
        ("settings.socialProviders.corp.issuer", "required"),
    ];
    assert_eq!(wrong, expected.map(|(field, code)| (field.to_owned(), code.to_owned())));
}

#[test]
fn a_provider_cannot_lose_its_kind() {
    let mut bench = Bench::new();
    bench.tenant(ACME, json!({"settings": {"socialProviders": {"g": {"kind": "google", "clientId": "g"}}}}));
    let result = bench.try_tenant(ACME, json!({"settings": {"socialProviders": {"g": {"kind": null}}}}));
    assert_eq!(findings(result), finding("settings.socialProviders.g.kind", "required"));
}

/// S37: two tenants under one issuer could sign for each other's people.
#[test]
fn an_issuer_belongs_to_one_tenant() {
    let mut bench = Bench::with_acme();
    let patch = json!({"settings": {"issuerOverride": "https://login.example.com"}});
    bench.tenant(ACME, patch.clone());
    let result = bench.try_tenant("other", patch.clone());
    assert_eq!(findings(result), finding("settings.issuerOverride", "issuer_in_use"));
    bench.tenant(ACME, patch.clone());
    bench.tenant(ACME, json!({"settings": {"issuerOverride": null}}));
    bench.tenant("other", patch);
}

/// spec §3.3: a revision is never used twice for a name, also not by a tenant that comes back.
#[test]
fn a_tenant_that_comes_back_counts_on() {
    let mut bench = Bench::with_acme();
    bench.tenant(ACME, json!({"name": "second"}));
    assert_eq!(delete(&mut bench, ACME), Ok(Outcome::TenantDeleted));
    assert!(bench.view().tenant(&slug(ACME)).is_none());
    let (tenant, created) = bench.tenant(ACME, json!({}));
    assert!(created);
    assert_eq!((tenant.revision, tenant.name.as_str()), (3, ACME));
    assert_eq!(bench.view().tenant(&slug(ACME)).unwrap().scopes.revision, 2, "its catalogue counts on too");
    let (other, _) = bench.tenant("other", json!({}));
    assert_eq!(other.revision, 1, "other names begin at 1");
}

/// What keeps revisions unique after very many deletions is part of the snapshot.
#[test]
fn a_snapshot_carries_the_floor_of_new_revisions() {
    let mut bench = Bench::with_acme();
    let mut image = bench.machine.image();
    image.revision_floor = 5;
    bench.machine.install(image).unwrap();
    assert_eq!(bench.machine.image().revision_floor, 5);
    assert_eq!(bench.tenant(ACME, json!({"name": "x"})).0.revision, 2, "what lives counts on");
    assert_eq!(bench.tenant("new", json!({})).0.revision, 6);
    delete(&mut bench, ACME).unwrap();
    assert_eq!(bench.tenant(ACME, json!({})).0.revision, 6);
}

#[test]
fn deleting_a_tenant_takes_clients_scopes_and_keys_along() {
    let mut bench = Bench::new();
    bench.path_tenant(ACME);
    bench.run(put_client(ACME, WEB, json!({}), 1)).unwrap();
    delete(&mut bench, ACME).unwrap();
    assert_eq!(delete(&mut bench, ACME), Err(Reject::TenantNotFound));
    bench.tenant(ACME, json!({}));
    let view = bench.view();
    let entry = view.tenant(&slug(ACME)).unwrap();
    assert!(entry.clients.is_empty() && entry.keys.is_empty());
}

/// spec §13.3: the PUT that first sets `issuerMode: path` carries the tenant's key in the same command.
#[test]
fn a_path_issuer_gets_its_keys_in_the_same_command() {
    let mut bench = Bench::with_acme();
    let path = json!({"settings": {"issuerMode": "path"}});
    assert_eq!(bench.try_tenant(ACME, path.clone()), Err(Reject::KeyNeeded { alg: Alg::EdDsa }));
    let rsa_only = put_tenant(ACME, path.clone(), &[key("acme-rsa-1", Alg::Rs256)]);
    assert_eq!(bench.run(rsa_only), Err(Reject::KeyNeeded { alg: Alg::EdDsa }));
    let command =
        put_tenant(ACME, path.clone(), &[key("acme-rsa-1", Alg::Rs256), key("acme-ed-1", Alg::EdDsa)]);
    bench.run(command).unwrap();
    assert_eq!(bench.published(&tenant_set(ACME)), ["acme-ed-1"], "a key that is not needed is not taken");
    // Repeating it, as after an unknown outcome, replaces nothing.
    let hash = bench.hash();
    bench.run(put_tenant(ACME, path, &[key("acme-ed-2", Alg::EdDsa)])).unwrap();
    assert_eq!(bench.hash(), hash);
    let more = json!({"settings": {"signingAlgs": ["EdDSA", "ES256"]}});
    assert_eq!(bench.try_tenant(ACME, more.clone()), Err(Reject::KeyNeeded { alg: Alg::Es256 }));
    bench.run(put_tenant(ACME, more, &[key("acme-ec-1", Alg::Es256)])).unwrap();
    assert_eq!(bench.published(&tenant_set(ACME)), ["acme-ec-1", "acme-ed-1"]);
}

#[test]
fn a_tenant_keeps_its_keys_while_it_uses_the_global_issuer() {
    let mut bench = Bench::new();
    bench.path_tenant(ACME);
    bench.tenant(ACME, json!({"settings": {"issuerMode": "global"}}));
    bench.tenant(ACME, json!({"settings": {"issuerMode": "path"}}));
    assert_eq!(bench.published(&tenant_set(ACME)), ["acme-key-1"]);
}

#[test]
fn issuer_and_discovery_follow_the_mode() {
    let mut bench = Bench::with_acme();
    let issuer = |bench: &Bench| {
        let view = bench.view();
        let entry = view.tenant(&slug(ACME)).unwrap();
        (view.issuer_of(entry), view.discovery_of(entry).is_some())
    };
    assert_eq!(issuer(&bench), ("https://id.example.com".to_owned(), false));
    bench.tenant(ACME, json!({"settings": {"issuerOverride": "https://login.acme.example"}}));
    assert_eq!(issuer(&bench), ("https://id.example.com".to_owned(), false), "replaces the path form only");
    bench.path_tenant(ACME);
    assert_eq!(issuer(&bench), ("https://login.acme.example".to_owned(), true));
    bench.tenant(ACME, json!({"settings": {"issuerOverride": null}}));
    assert_eq!(issuer(&bench), ("https://id.example.com/t/acme".to_owned(), true));
}

/// Architecture rule 9: rendered when something changes, so that serving copies a pointer; and always of the newest
/// state, also after a restart from a snapshot.
#[test]
fn discovery_is_rendered_once_a_change_and_is_never_stale() {
    let mut bench = Bench::with_acme();
    let served = |bench: &Bench| {
        let view = bench.view();
        view.discovery_of(view.tenant(&slug(ACME)).unwrap()).unwrap()
    };
    let names = |bench: &Bench, text: &str| {
        let mut restored = crate::Machine::new(crate::Issuer::new("https://id.example.com"));
        restored.install(bench.machine.image()).unwrap();
        let view = restored.view(1);
        assert_eq!(view.discovery_of(view.tenant(&slug(ACME)).unwrap()).unwrap(), served(bench));
        assert_eq!(view.global_discovery(), bench.view().global_discovery());
        String::from_utf8(served(bench).to_vec()).unwrap().contains(text)
    };
    bench.path_tenant(ACME);
    assert_eq!(served(&bench).as_ptr(), served(&bench).as_ptr());
    assert_eq!(bench.view().global_discovery().as_ptr(), bench.view().global_discovery().as_ptr());

    let before = served(&bench);
    bench.client("web", json!({}), 1);
    assert_eq!(served(&bench).as_ptr(), before.as_ptr(), "a client is no part of it");
    assert!(!names(&bench, "billing"));
    bench.scopes(json!([{"name": "billing"}]), crate::ScopesMode::Merge);
    assert!(names(&bench, "billing"));
    assert!(!names(&bench, "ES256"));
    bench.rotate(&tenant_set(ACME), key("acme-ec-9", Alg::Es256), 0).unwrap();
    bench.activate(&tenant_set(ACME), "acme-ec-9").unwrap();
    assert!(names(&bench, "ES256"));
    bench.tenant(ACME, json!({"settings": {"issuerOverride": "https://login.acme.example"}}));
    assert!(names(&bench, "https://login.acme.example"));

    assert!(!String::from_utf8(bench.view().global_discovery().to_vec()).unwrap().contains("EdDSA"));
    let keys = vec![key("global-ed-9", Alg::EdDsa)];
    bench.run(Command::EnsureGlobalKeys { keys }).unwrap();
    assert!(names(&bench, "acme"));
    assert!(String::from_utf8(bench.view().global_discovery().to_vec()).unwrap().contains("EdDSA"));
}

#[test]
fn the_number_of_tenants_is_limited() {
    let mut bench = Bench::with_acme();
    let entry = bench.machine.state.tenants.get(&slug(ACME)).unwrap().clone();
    for i in 1..limits::TENANTS {
        bench.machine.state.tenants.insert(slug(&format!("t{i}")), entry.clone());
    }
    let full = Reject::LimitReached { what: "tenants".to_owned(), limit: 100_000 };
    let machine = &mut bench.machine;
    let put = |machine: &mut crate::Machine, name: &str| {
        machine.put_tenant(
            &slug(name),
            &crate::documents::TenantPatch::default(),
            &[],
            None,
            entry.tenant.created_at,
        )
    };
    assert_eq!(put(machine, "one-more"), Err(full));
    assert!(put(machine, ACME).is_ok(), "those that exist can still change");
    machine.delete_tenant(&slug("t1"), None).unwrap();
    assert!(put(machine, "one-more").is_ok());
}
