//! Rows of security events: which index a page walks along, and what the retention removes (EP132, spec §10).

use std::time::Duration;

use hellojohn::store::pg::audit::AuditQuery;
use hellojohn::store::pg::jobs::Turn;
use hellojohn_control::{Slug, Timestamp};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::harness::postgres::TestDb;
use crate::harness::sweeps::{make_due, swept_keeping};

/// As many as tell an index from a scan: one in twenty of the tenant that is looked at, one in seven of another kind.
const MANY: &str = "INSERT INTO audit_events (tenant, at, id, action, outcome, reason, actor, target, client_id, request_id, ip, \
    user_agent) SELECT CASE n % 20 WHEN 0 THEN 'acme' ELSE 'beta' END, to_timestamp(1800000000 + n), gen_random_uuid(), \
    CASE n % 7 WHEN 0 THEN 'user.logout' ELSE 'user.login' END, 'ok', NULL, 'acme/' || gen_random_uuid(), gen_random_uuid()::text, \
    'web', 'c0ffee00c0ffee00c0ffee00c0ffee00', '203.0.113.7', \
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36' \
    FROM generate_series(1, 20000) n";

/// What the plan looks at, by node and index, and whether something is sorted whole.
fn read(plan: &Value, into: &mut Vec<String>) {
    let node = plan["Node Type"].as_str().unwrap_or_default();
    let index = plan["Index Name"].as_str().unwrap_or_default();
    into.push(format!("{node} {index}").trim().to_owned());
    for part in plan["Plans"].as_array().into_iter().flatten() {
        read(part, into);
    }
}

/// EP132: a page of all, of a tenant, of an actor or of an action is a walk along an index in its order.
#[tokio::test]
async fn a_page_is_a_walk_along_an_index() {
    let db = TestDb::new().await;
    let mut connection = db.connection().await;
    for statement in [MANY, "VACUUM ANALYZE audit_events"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let set = |text: &str| Some(text.to_owned());
    let all = AuditQuery::default();
    let actor = AuditQuery { actor: set("acme/6f1c2a54-0000-4000-8000-000000000001"), ..all.clone() };
    let action = AuditQuery { action: set("user.logout"), ..all.clone() };
    let both = AuditQuery { action: set("user.logout"), ..actor.clone() };
    for (tenant, query, index) in [
        (None, &all, "audit_events_at"),
        (Some("acme"), &all, "audit_events_pkey"),
        (Some("acme"), &actor, "audit_events_actor"),
        (Some("acme"), &action, "audit_events_action"),
        (Some("acme"), &both, "audit_events_actor"),
    ] {
        let text = |value: Option<&String>| value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
        let (of, on) = (text(query.actor.as_ref()), text(query.action.as_ref()));
        let tenant_text = tenant.map_or("NULL".to_owned(), |tenant| format!("'{tenant}'"));
        let prepare = format!(
            "SET plan_cache_mode = force_custom_plan; PREPARE page (timestamptz, timestamptz, uuid, text, text, text, text, bigint, text) \
                 AS {}",
            query.statement(tenant)
        );
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
        let explain = format!(
            "EXPLAIN (FORMAT JSON) EXECUTE page (to_timestamp(0), to_timestamp(1800019000), gen_random_uuid(), {of}, {on}, \
                 NULL, NULL, 51, {tenant_text})"
        );
        let plan: Value =
            sqlx::query_scalar(AssertSqlSafe(explain)).fetch_one(&mut connection).await.unwrap();
        sqlx::raw_sql("DEALLOCATE page").execute(&mut connection).await.unwrap();
        let mut nodes = Vec::new();
        read(&plan[0]["Plan"], &mut nodes);
        let name = format!("{tenant:?} {query:?}: {nodes:?}");
        assert!(nodes.iter().any(|node| *node == format!("Index Scan {index}")), "{name}");
        assert!(!nodes.iter().any(|node| node == "Sort" || node == "Seq Scan"), "{name}");
    }
}

/// A row is as small as docs/operations.md says, indexes and all.
#[tokio::test]
async fn a_row_takes_less_than_a_kibibyte() {
    let db = TestDb::new().await;
    let mut connection = db.connection().await;
    sqlx::query(MANY).execute(&mut connection).await.unwrap();
    let (row, whole): (f64, f64) = sqlx::query_as(
        "SELECT avg(pg_column_size(e.*))::float8, pg_total_relation_size('audit_events')::float8 / count(*) FROM audit_events e",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(
        (200.0..450.0).contains(&row) && (400.0..1024.0).contains(&whole),
        "{row} bytes, {whole} with indexes"
    );
}

/// `AUDIT_RETENTION`: what is older than it goes, of every tenant, in portions; without one nothing does.
#[tokio::test]
async fn a_sweep_removes_events_that_are_older_than_they_are_kept() {
    let db = TestDb::new().await;
    let mut connection = db.connection().await;
    sqlx::query(MANY).execute(&mut connection).await.unwrap();
    let database = db.database();
    let now = Timestamp::from_secs(1_800_000_000 + 3600 + 1500);
    assert!(!swept_keeping(&db, now, None).await.contains_key("audit_events"));
    make_due(&db).await;
    let due = database.due_sweeps(Some(Duration::from_secs(3600))).await.unwrap();
    let events = due.iter().find(|sweep| sweep.kind == "audit_events").unwrap();
    let full = database.sweep(events, now).await.unwrap();
    assert_eq!(full, Turn::Done { rows: 1000, more: true });
    let rest = database.sweep(events, now).await.unwrap();
    assert_eq!(rest, Turn::Done { rows: 500, more: false });
    let tenant = Slug::parse("acme").unwrap();
    let left =
        database.audit_page(Some(tenant.as_str()), &AuditQuery::default(), None, 20_000).await.unwrap();
    assert_eq!(left.len(), 925);
    assert!(left.iter().all(|event| event.at > Timestamp::from_secs(1_800_000_000 + 1500)));
}
