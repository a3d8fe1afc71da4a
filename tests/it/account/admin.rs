//! Who may administer (spec §6 "Admin authorisation", §13.12; S100, S102).

use std::time::Duration;

use hellojohn::crypto::secret::SecretString;
use hellojohn::domain::rng::OsRng;
use hellojohn::service::break_glass::{BreakGlass, MAX_LIFE, MintError, mint_break_glass};
use hellojohn::store::{Dsn, PoolSettings, Pools};
use hellojohn_control::Command;
use hellojohn_control::documents::{Alg, KeySet};
use serde_json::json;

use super::world::{Answer, Choice, ISSUER, World, call, payload, send, slug};

/// A route for administrators that answers anybody who is one with 501: `acme` has no database of its own.
const PROBE: &str = "/v1/admin/tenants/acme/user-store/test-connection";

async fn probe(world: &World, bearer: Option<&str>) -> Answer {
    world.send(call("POST", PROBE, bearer, "")).await
}

fn forbidden() -> (u16, String) {
    (403, "forbidden".to_owned())
}

fn allowed() -> (u16, String) {
    (501, "tenant_db_missing".to_owned())
}

pub(super) fn minted(world: &World, life: Duration) -> Result<SecretString, MintError> {
    let wanted = BreakGlass {
        issuer: ISSUER,
        subject: "root@host",
        life,
        now: hellojohn::domain::clock::Clock::now(&*world.clock),
    };
    mint_break_glass(world.signing.clone(), &world.key(&KeySet::Global), &OsRng, &wanted)
}

/// S100: the matrix of callers.
#[tokio::test]
async fn only_flagged_people_of_an_admin_tenant_administer() {
    let world = World::new().await;
    world.register("local", "root@example.com").await;
    world.register("acme", "root@example.com").await;
    let user = world.session("local", "ann@example.com").await;
    world.sql("UPDATE users SET sys_admin = true WHERE email = 'root@example.com'").await;
    let admin = world.login("local", "root@example.com").await;
    let foreign = world.login("acme", "root@example.com").await;

    let answer = probe(&world, None).await;
    assert_eq!(answer.refusal(), (401, "invalid_token".to_owned()));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"hellojohn\""));
    assert_eq!(probe(&world, Some("x.y.z")).await.refusal().0, 401);
    assert_eq!(probe(&world, Some(&user.refresh)).await.refusal().0, 401);
    assert_eq!(probe(&world, Some(&user.access)).await.refusal(), forbidden());
    assert_eq!(probe(&world, Some(&foreign.access)).await.refusal(), forbidden());
    assert_eq!(probe(&world, Some(&admin.access)).await.refusal(), allowed());

    assert_eq!(
        payload(&admin.access)["custom"],
        json!({"urn:hellojohn:sys": {"is_admin": true, "roles": []}})
    );
    for tokens in [&user, &foreign] {
        assert_eq!(payload(&tokens.access).get("custom"), None, "only administrators have it");
    }
    // Demoted, revoked, expired: at once.
    world.sql("UPDATE users SET sys_admin = false").await;
    assert_eq!(probe(&world, Some(&admin.access)).await.refusal(), forbidden());
    world.sql("UPDATE users SET sys_admin = true").await;
    assert_eq!(probe(&world, Some(&user.access)).await.refusal(), forbidden(), "the token must say so too");
    world.send(call("POST", "/v1/auth/logout", Some(&admin.access), "")).await;
    assert_eq!(probe(&world, Some(&admin.access)).await.refusal().0, 401);
    let admin = world.login("local", "root@example.com").await;
    world.clock.advance(Duration::from_secs(900));
    assert_eq!(probe(&world, Some(&admin.access)).await.refusal().0, 401);
    world.end().await;
}

/// Nobody becomes one by a claim that a tenant's own key signs, or by a tenant's own issuer. The service refuses
/// such a tenant; one that became an admin tenant later, by ADMIN_TENANTS, is still there.
#[tokio::test]
async fn a_path_tenant_has_no_administrators() {
    let world = World::new().await;
    world.register("local", "root@example.com").await;
    world.sql("UPDATE users SET sys_admin = true").await;
    let before = world.login("local", "root@example.com").await;
    let key = world.sealing.mint_key(Some(&slug("local")), Alg::EdDsa).unwrap();
    let patch = serde_json::from_value(json!({"settings": {"issuerMode": "path"}})).unwrap();
    world.propose(Command::PutTenant { slug: slug("local"), patch, new_keys: vec![key] }).await;
    let after = world.login("local", "root@example.com").await;
    assert_eq!(probe(&world, Some(&after.access)).await.refusal(), forbidden());
    assert_eq!(probe(&world, Some(&before.access)).await.refusal(), allowed());
    let own = KeySet::Tenant(slug("local"));
    assert_eq!(probe(&world, Some(&world.forge(&own, &before.claims()))).await.refusal().0, 401);
    world.end().await;
}

/// `ADMIN_SUBS` names accounts, and only in an admin tenant; `ADMIN_ENFORCE=0` still wants a live token of one.
#[tokio::test]
async fn subjects_can_be_named_and_enforcement_switched_off_for_admin_tenants_only() {
    let world = World::new().await;
    let local = world.session("local", "ann@example.com").await;
    let acme = world.session("acme", "ann@example.com").await;
    let pools = || world.db.pools();
    let subs = format!("{},{}", local.claims().sub, acme.claims().sub);
    for env in [("ADMIN_SUBS", subs), ("ADMIN_ENFORCE", "0".to_owned())] {
        let router = world.rebuilt(pools(), &Choice { env: vec![env], ..Choice::default() });
        let ask = async |token: &str| send(&router, call("POST", PROBE, Some(token), "")).await.refusal();
        assert_eq!(ask(&local.access).await, allowed());
        assert_eq!(ask(&acme.access).await, forbidden());
        assert_eq!(ask("x.y.z").await.0, 401);
    }
    world.end().await;
}

/// spec §13.12: a break-glass token needs no database; a person's token needs one, and says so.
#[tokio::test]
async fn break_glass_works_without_the_database_and_people_do_not() {
    let world = World::new().await;
    world.register("local", "root@example.com").await;
    world.sql("UPDATE users SET sys_admin = true").await;
    let admin = world.login("local", "root@example.com").await;
    let token = minted(&world, MAX_LIFE).unwrap();
    assert_eq!(probe(&world, Some(token.expose())).await.refusal(), allowed());
    let dead = Dsn::parse("postgres://app:x@127.0.0.1:1/app?sslmode=disable").unwrap();
    let pools = Pools::new(PoolSettings { max_idle: 0, ..PoolSettings::default() }, Some(&dead));
    let router = world.rebuilt(pools, &Choice::default());
    let ask = async |token: &str| send(&router, call("POST", PROBE, Some(token), "")).await.refusal();
    assert_eq!(ask(token.expose()).await, allowed());
    assert_eq!(ask(&admin.access).await, (503, "storage_unavailable".to_owned()));
    // A person's routes are none of its business.
    assert_eq!(world.get("/v1/me", token.expose()).await.status, 401);
    world.clock.advance(MAX_LIFE);
    assert_eq!(ask(token.expose()).await.0, 401, "ten minutes are over");
    world.end().await;
}

/// spec §6, §13.12: ten minutes at most, of the global issuer, by a global key; whoever made it otherwise is refused.
#[tokio::test]
async fn break_glass_tokens_are_short_and_global() {
    let world = World::new().await;
    for life in [Duration::ZERO, MAX_LIFE + Duration::from_secs(1)] {
        assert!(matches!(minted(&world, life), Err(MintError::Life)));
    }
    world.put_tenant("acme", json!({"settings": {"issuerMode": "path"}})).await;
    let own = KeySet::Tenant(slug("acme"));
    let wanted = BreakGlass {
        issuer: ISSUER,
        subject: "root",
        life: MAX_LIFE,
        now: hellojohn::domain::clock::Clock::now(&*world.clock),
    };
    let foreign_key = mint_break_glass(world.signing.clone(), &world.key(&own), &OsRng, &wanted);
    assert!(matches!(foreign_key, Err(MintError::Key(_))), "a tenant's key does not open as a global one");
    let unprintable = BreakGlass { subject: "a b\n", ..wanted };
    let unprintable =
        mint_break_glass(world.signing.clone(), &world.key(&KeySet::Global), &OsRng, &unprintable);
    assert!(matches!(unprintable, Err(MintError::Subject)));

    let good = minted(&world, MAX_LIFE).unwrap();
    let claims: hellojohn::crypto::jwt::AccessClaims =
        serde_json::from_value(payload(good.expose())).unwrap();
    let mut powerless = claims.clone();
    powerless.custom = None;
    let mut long = claims.clone();
    long.exp += 1;
    let mut elsewhere = claims.clone();
    elsewhere.iss = format!("{ISSUER}/t/acme");
    let mut personal = claims.clone();
    personal.tid = "local".to_owned();
    for (set, claims, status) in [
        (&KeySet::Global, &claims, 501),
        (&KeySet::Global, &powerless, 401),
        (&KeySet::Global, &long, 401),
        (&KeySet::Global, &elsewhere, 401),
        (&KeySet::Global, &personal, 401),
        (&own, &claims, 401),
        (&own, &elsewhere, 401),
    ] {
        let answer = probe(&world, Some(&world.forge(set, claims))).await;
        assert_eq!(answer.status, status, "{set:?} {claims:?}");
    }
    world.end().await;
}
