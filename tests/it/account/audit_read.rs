//! EP132: security events, read by administrators (S103, S106).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{PASSWORD, World, text_of};
use crate::harness::postgres::TestDb;

const AUDIT: &str = "/v1/admin/audit";

impl World {
    /// Every event that fits, page by page.
    async fn events(&self, admin: &str, query: &str, limit: usize) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{AUDIT}?limit={limit}{query}&cursor={cursor}");
            let answer = self.get(&path, admin).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let page = answer.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit, "{path}");
            found.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return found,
            }
        }
    }
}

fn told(events: &[Value]) -> Vec<(String, String, String)> {
    events.iter().map(|e| (text_of(e, "tenant_id"), text_of(e, "action"), text_of(e, "reason"))).collect()
}

fn expected(events: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    events.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

/// EP132: newest first, each once whatever the page, narrowed by everything there is to narrow by.
#[tokio::test]
async fn events_are_read_newest_first_and_filtered() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.sql("DELETE FROM audit_events").await;
    let step = || world.clock.advance(Duration::from_secs(1));
    step();
    let ann = text_of(&world.register("acme", "ann@example.com").await.json()["user"], "id");
    step();
    world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    step();
    world.login("acme", "ann@example.com").await;
    step();
    world.register("local", "eve@example.com").await;
    step();
    world.ask("POST", &format!("/v1/admin/users/{ann}/disable?tenant_id=acme"), &admin, Value::Null).await;
    step();
    world.ask("POST", "/v1/admin/cluster/snapshot", &admin, Value::Null).await;

    let all = expected(&[
        ("_system", "cluster.snapshot", ""),
        ("acme", "user.disable", ""),
        ("local", "user.register", ""),
        ("acme", "user.login", ""),
        ("acme", "user.login", "wrong_password"),
        ("acme", "user.register", ""),
    ]);
    for limit in [1, 2, 200] {
        assert_eq!(told(&world.events(&admin, "", limit).await), all, "{limit}");
    }
    let found = async |query: &str| {
        let pages = world.events(&admin, query, 1).await;
        assert_eq!(pages, world.events(&admin, query, 200).await, "{query}");
        told(&pages)
    };
    let of_acme: Vec<_> = all.iter().filter(|(tenant, _, _)| tenant == "acme").cloned().collect();
    assert_eq!(found("&tenant_id=acme").await, of_acme);
    assert_eq!(found("&tenantId=_system").await, all[..1]);
    assert_eq!(found("&tenant_id=nobody").await, []);
    assert_eq!(found(&format!("&tenant_id=acme&actor=acme/{ann}")).await, of_acme[1..]);
    assert_eq!(found(&format!("&actor=acme/{ann}&outcome=refused")).await, of_acme[2..3]);
    // Another tenant's name does not make somebody else of him, nor does a part of a name.
    assert_eq!(found(&format!("&tenant_id=local&actor=acme/{ann}")).await, []);
    assert_eq!(found("&actor=acme").await, []);
    assert_eq!(found("&tenant_id=acme&action=user.login").await, of_acme[1..3]);
    assert_eq!(found("&action=user.login&outcome=ok").await, of_acme[1..2]);
    assert_eq!(found("&tenant_id=acme&action=user.login&outcome=refused&target=").await, of_acme[2..3]);
    assert_eq!(found(&format!("&target={ann}&action=user.disable")).await, of_acme[..1]);
    assert_eq!(found("&action=user%25").await, []);
    // From is in, to is not.
    let snapshot = world.events(&admin, "", 1).await[0]["at"].as_str().unwrap().to_owned();
    assert_eq!(found(&format!("&from={snapshot}")).await, all[..1]);
    assert_eq!(found(&format!("&to={snapshot}")).await, all[1..]);
    assert_eq!(found(&format!("&from={snapshot}&to={snapshot}")).await, []);

    let login = &world.events(&admin, "&tenant_id=acme&action=user.login&outcome=ok", 1).await[0];
    assert_eq!((&login["actor"], &login["client_id"]), (&json!(format!("acme/{ann}")), &json!("web")));
    assert_eq!((&login["request_id"], &login["ip"]), (&json!("req-1"), &json!("0.0.0.0")));
    assert_eq!((&login["seq"], &login["hash"]), (&Value::Null, &Value::Null));
    world.end().await;
}

/// Of one moment each event comes once, whatever the page; those of one transaction in the order in which they were told.
#[tokio::test]
async fn events_of_one_moment_come_once_each() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.sql("DELETE FROM audit_events").await;
    for n in 0..7 {
        world.register("acme", &format!("ann-{n}@example.com")).await;
    }
    for limit in [1, 2, 3, 7] {
        let events = world.events(&admin, "&tenant_id=acme", limit).await;
        let ids: BTreeSet<String> = events.iter().map(|event| text_of(event, "id")).collect();
        assert_eq!((events.len(), ids.len()), (7, 7), "{limit}");
    }
    world.end().await;
}

/// Spec §5, S106: what makes no sense is refused by its name, and a cursor is only a place.
#[tokio::test]
async fn parameters_that_make_no_sense_are_refused_by_name() {
    let world = World::new().await;
    let admin = world.admin().await;
    let long = "x".repeat(513);
    for (query, named) in [
        ("user=ann".to_owned(), "user is not"),
        ("tenant=acme".to_owned(), "tenant is not"),
        ("actor=a&actor=b".to_owned(), "actor is given twice"),
        (format!("target={long}"), "target must"),
        ("action=%00".to_owned(), "action must"),
        ("outcome=maybe".to_owned(), "outcome must"),
        ("from=yesterday".to_owned(), "from must"),
        ("to=2026-11-23T21:00:00+01:00".to_owned(), "to must"),
        ("from=1969-12-31T23:59:59Z".to_owned(), "from must"),
        ("limit=0".to_owned(), "limit must"),
        ("cursor=YQ".to_owned(), "cursor is not"),
        // Far outside what the database can count.
        (
            "cursor=OTIyMzM3MjAzNjg1NDc3NTgwNy8wMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA".to_owned(),
            "cursor is not",
        ),
    ] {
        let answer = world.get(&format!("{AUDIT}?{query}"), &admin).await;
        assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()), "{query}");
        let detail = text_of(&answer.json(), "detail");
        assert!(detail.contains(named), "{query}: {detail}");
    }
    let answer = world.get(&format!("{AUDIT}?tenant_id=A!"), &admin).await;
    assert_eq!(answer.refusal(), (400, "invalid_slug".to_owned()));
    // A cursor of another list of events goes on at the same moment, and shows nothing that the filters do not let through.
    world.register("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(1));
    world.register("local", "bob@example.com").await;
    let first = world.get(&format!("{AUDIT}?limit=1&tenant_id=local"), &admin).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let other = world.get(&format!("{AUDIT}?tenant_id=acme&cursor={cursor}"), &admin).await.json();
    let tenants: BTreeSet<String> =
        other["items"].as_array().unwrap().iter().map(|event| text_of(event, "tenant_id")).collect();
    assert_eq!(tenants, BTreeSet::from(["acme".to_owned()]));
    world.end().await;
}

/// Spec §4: the events of a tenant with a database of its own are there and nowhere else; read by its name they come together
/// with what the global database knows of it: the writes of the control plane, with their place in the chain.
#[tokio::test]
async fn the_events_of_a_tenants_own_database_are_read_with_those_of_the_global_one() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.sql("DELETE FROM audit_events").await;
    let own = TestDb::new().await;
    world.put_tenant("acme", json!({"settings": {"userStore": {"dsn": own.dsn()}}})).await;
    let at = |seconds: i64| hellojohn_control::Timestamp::from_secs(1_800_000_000 + seconds).to_string();
    let mut global = world.db.connection().await;
    for (seconds, tenant, action, seq) in
        [(0, "acme", "tenant.put", 1_i64), (10, "acme", "client.put", 2), (10, "local", "client.put", 3)]
    {
        sqlx::query(
            "INSERT INTO audit_events (tenant, at, id, action, outcome, actor, request_id, chain_seq, chain_hash) VALUES \
             ($1, $2::text::timestamptz, gen_random_uuid(), $3, 'ok', 'local/root', 'req-0', $4, sha256('x'))",
        )
        .bind(tenant)
        .bind(at(seconds))
        .bind(action)
        .bind(seq)
        .execute(&mut global)
        .await
        .unwrap();
    }
    world.clock.advance(Duration::from_secs(5));
    world.register("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(10));
    world.try_login("acme", "ann@example.com", PASSWORD).await;
    let of_acme = expected(&[
        ("acme", "user.login", ""),
        ("acme", "client.put", ""),
        ("acme", "user.register", ""),
        ("acme", "tenant.put", ""),
    ]);
    for limit in [1, 2, 3, 200] {
        assert_eq!(told(&world.events(&admin, "&tenant_id=acme", limit).await), of_acme, "{limit}");
    }
    let global = world.events(&admin, "", 200).await;
    let actions: Vec<String> = global.iter().map(|event| text_of(event, "action")).collect();
    assert!(!actions.iter().any(|action| action == "user.register"), "{actions:?}");
    let put = global.iter().find(|event| event["seq"] == 2).unwrap();
    assert_eq!(put["hash"], "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    // Under another name the same database is read twice and shown once.
    world.put_tenant("acme", json!({"settings": {"userStore": {"dsn": world.db.dsn()}}})).await;
    assert_eq!(world.events(&admin, "&tenant_id=acme", 200).await.len(), 2);
    world.end().await;
}
