//! What the database has of the chain of control-plane records.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use hellojohn_control::audit::{ChainHash, Record};
use hellojohn_control::{Slug, Timestamp};
use sqlx::{PgConnection, Row as _};

/// The records as the rows tell them, by their numbers.
pub(crate) async fn chain(connection: &mut PgConnection) -> Vec<Record> {
    let rows = sqlx::query("SELECT * FROM audit_events WHERE chain_seq IS NOT NULL ORDER BY chain_seq, id")
        .fetch_all(connection)
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            let at: time::OffsetDateTime = row.get("at");
            let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
            let reason: Option<String> = row.get("reason");
            let outcome: &str = row.get("outcome");
            assert_eq!(outcome, if reason.is_some() { "refused" } else { "ok" });
            Record {
                seq: u64::try_from(row.get::<i64, _>("chain_seq")).unwrap(),
                at: Timestamp::from_millis(millis),
                // `_system` is no slug.
                tenant: Slug::parse(row.get("tenant")).ok(),
                actor: row.get("actor"),
                request_id: row.get("request_id"),
                action: row.get("action"),
                target: row.get("target"),
                reason,
                ip: row.get::<Option<&str>, _>("ip").map(|ip| ip.parse().unwrap()),
                hash: ChainHash::new(row.get::<&[u8], _>("chain_hash").try_into().unwrap()),
            }
        })
        .collect()
}

/// How many rows are records of control-plane writes.
pub(crate) async fn rows(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE chain_seq IS NOT NULL")
        .fetch_one(connection)
        .await
        .unwrap()
}
