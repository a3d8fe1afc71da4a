//! Sweeps without waiting for their turn.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use hellojohn::store::pg::jobs::Turn;
use hellojohn_control::Timestamp;

use super::postgres::TestDb;

/// Makes every job due now.
pub(crate) async fn make_due(db: &TestDb) {
    let mut connection = db.connection().await;
    sqlx::query("UPDATE jobs SET next_at = '-infinity'").execute(&mut connection).await.unwrap();
}

/// Removes everything that is over at `now`; the rows of each kind.
pub(crate) async fn swept(db: &TestDb, now: Timestamp) -> BTreeMap<&'static str, u64> {
    swept_keeping(db, now, None).await
}

/// The same, and security events that are older than `keep_events`.
pub(crate) async fn swept_keeping(
    db: &TestDb,
    now: Timestamp,
    keep_events: Option<Duration>,
) -> BTreeMap<&'static str, u64> {
    make_due(db).await;
    let database = db.database();
    let mut rows = BTreeMap::new();
    for sweep in database.due_sweeps(keep_events).await.unwrap() {
        match database.sweep(&sweep, now).await.unwrap() {
            Turn::Done { rows: some, more: false } => rows.insert(sweep.kind, some),
            other => panic!("{}: {other:?}", sweep.kind),
        };
    }
    rows
}
