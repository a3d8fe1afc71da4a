//! Tenants with an issuer of their own (spec §2.2, T48; S37).

use std::time::Duration;

use hellojohn::crypto::jwt::AccessClaims;
use hellojohn_control::documents::KeySet;
use serde_json::json;

use super::world::{ISSUER, Tokens, World, part, slug};

/// T48: own issuer and key; what was issued before goes on, with the issuer that it carries.
#[tokio::test]
async fn a_switch_to_path_mode_changes_new_tokens_and_keeps_old_ones() {
    let world = World::new().await;
    let old = world.session("acme", "ann@example.com").await;
    world.put_tenant("acme", json!({"settings": {"issuerMode": "path"}})).await;
    let new = world.login("acme", "ann@example.com").await;
    let own = KeySet::Tenant(slug("acme"));
    assert_eq!(new.claims().iss, format!("{ISSUER}/t/acme"));
    assert_eq!(part(&new.access, 0)["kid"], world.key(&own).kid.as_str());
    assert_eq!(old.claims().iss, ISSUER);
    for tokens in [&old, &new] {
        assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    }
    let refreshed = Tokens::of(&world.refresh(&old.refresh).await);
    assert_eq!(refreshed.claims().iss, format!("{ISSUER}/t/acme"));
    world.end().await;
}

/// S37: a tenant's key speaks for that tenant under that tenant's issuer, and for nothing else.
#[tokio::test]
async fn a_tenant_key_is_good_for_its_own_tenant_only() {
    let world = World::new().await;
    for tenant in ["acme", "evil"] {
        world.put_tenant(tenant, json!({"settings": {"issuerMode": "path"}})).await;
        world.put_client(tenant, "web", json!({})).await;
    }
    let claims = world.session("acme", "ann@example.com").await.claims();
    let (acme, evil) = (KeySet::Tenant(slug("acme")), KeySet::Tenant(slug("evil")));
    let named =
        |iss: &str, tid: &str| AccessClaims { iss: iss.to_owned(), tid: tid.to_owned(), ..claims.clone() };
    let (own, others) = (format!("{ISSUER}/t/acme"), format!("{ISSUER}/t/evil"));
    for (set, claims, status) in [
        (&acme, named(&own, "acme"), 200),
        (&evil, named(&own, "acme"), 401),
        (&evil, named(&others, "acme"), 401),
        (&acme, named(&others, "acme"), 401),
        (&acme, named("https://evil.example", "acme"), 401),
        (&evil, named(ISSUER, "acme"), 401),
        (&acme, named(ISSUER, "acme"), 401),
        (&acme, named(&own, "local"), 401),
        (&KeySet::Global, named(&own, "acme"), 401),
    ] {
        let answer = world.get("/v1/me", &world.forge(set, &claims)).await;
        assert_eq!(answer.status, status, "{set:?} {} {}", claims.iss, claims.tid);
    }
    world.end().await;
}

/// S46: both keys verify during the grace, the old one no more after it; opened keys are forgotten.
#[tokio::test]
async fn a_rotated_key_verifies_until_its_grace_ends() {
    let world = World::new().await;
    let old = world.session("acme", "ann@example.com").await;
    let control = &world.state.control;
    let rotation = hellojohn::service::control::Rotation::default();
    control.rotate_keys(&super::world::context(), KeySet::Global, rotation).await.unwrap();
    let new = world.login("acme", "ann@example.com").await;
    assert_ne!(part(&old.access, 0)["kid"], part(&new.access, 0)["kid"]);
    for tokens in [&old, &new] {
        assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    }
    world.clock.advance(Duration::from_secs(60));
    control.tend_keys(hellojohn::domain::clock::Clock::now(&*world.clock)).await.unwrap();
    assert_eq!(world.get("/v1/me", &old.access).await.status, 401);
    assert_eq!(world.get("/v1/me", &new.access).await.status, 200);
    world.state.accounts.forget_old_keys();
    world.login("acme", "ann@example.com").await;
    world.end().await;
}
