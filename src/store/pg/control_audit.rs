//! Records of control-plane writes, copied from the replicated outbox into the global database (spec §10, S113). Unlike
//! what people do they are of all tenants at once, and of none: what belongs to the cluster has the tenant `_system`.

use std::sync::Arc;

use hellojohn_control::Slug;
use hellojohn_control::audit::Record;
use uuid::{Builder, Uuid};

use super::rows::to_db;
use crate::domain::audit::SYSTEM;
use crate::store::database::Database;
use crate::store::error::Error;

// The identifier follows from the hash, so that a record that is copied again meets itself.
const INSERT: &str = "INSERT INTO audit_events (tenant, at, id, action, outcome, reason, actor, target, request_id, ip, \
    chain_seq, chain_hash) \
    SELECT tenant, at, id, action, outcome, reason, actor, target, request_id, ip, chain_seq, chain_hash \
    FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
    $9::text[], $10::text[], $11::bigint[], $12::bytea[]) \
    AS record (tenant, at, id, action, outcome, reason, actor, target, request_id, ip, chain_seq, chain_hash) \
    ON CONFLICT DO NOTHING";

impl Database {
    /// Adds the records that are not there yet, all or none of them; gives how many were not.
    ///
    /// # Errors
    /// `Unavailable` where the database does not answer: they may be there all the same, and adding them again does no harm.
    pub async fn insert_control_audit(&self, records: &[Arc<Record>]) -> Result<u64, Error> {
        const NAME: &str = "control_audit.insert";
        let texts = |text: fn(&Record) -> &str| records.iter().map(|record| text(record)).collect::<Vec<_>>();
        let options =
            |text: fn(&Record) -> Option<&str>| records.iter().map(|record| text(record)).collect::<Vec<_>>();
        let mut numbers = Vec::with_capacity(records.len());
        for record in records {
            let number = i64::try_from(record.seq);
            numbers.push(number.map_err(|_| Error::internal(NAME, "a record's number is beyond bigint"))?);
        }
        let query = sqlx::query(INSERT)
            .bind(texts(|record| record.tenant.as_ref().map_or(SYSTEM, Slug::as_str)))
            .bind(records.iter().map(|record| to_db(record.at)).collect::<Vec<_>>())
            .bind(records.iter().map(|record| id(record)).collect::<Vec<_>>())
            .bind(texts(|record| &record.action))
            .bind(texts(|record| if record.reason.is_some() { "refused" } else { "ok" }))
            .bind(options(|record| record.reason.as_deref()))
            .bind(texts(|record| &record.actor))
            .bind(options(|record| record.target.as_deref()))
            .bind(texts(|record| &record.request_id))
            .bind(records.iter().map(|record| record.ip.map(|ip| ip.to_string())).collect::<Vec<_>>())
            .bind(numbers)
            .bind(records.iter().map(|record| record.hash.as_bytes().to_vec()).collect::<Vec<_>>());
        let done = self.alone(NAME, async |connection| query.execute(connection).await).await?;
        Ok(done.rows_affected())
    }
}

/// The first half of the hash, marked as an identifier of our own making (RFC 9562 §5.8).
fn id(record: &Record) -> Uuid {
    let mut half = [0; 16];
    for (byte, of_hash) in half.iter_mut().zip(record.hash.as_bytes()) {
        *byte = *of_hash;
    }
    Builder::from_custom_bytes(half).into_uuid()
}
