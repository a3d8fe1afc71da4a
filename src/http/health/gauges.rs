//! Figures of the control plane and the pools, taken when they are asked for (spec §10). No label names a
//! person; peers are named by their node id.

use hellojohn_control::FORMAT;

use crate::cluster::Role;
use crate::service::health::{HealthService, Wanted};

/// Sets the gauges.
pub async fn publish(health: &HealthService) {
    let report = health.report(Wanted::Any).await;
    let (status, pools) = (&report.cluster, health.pools());
    metrics::gauge!("hellojohn_ready").set(flag(report.failing.is_empty()));
    if let Some(written) = health.format() {
        metrics::gauge!("hellojohn_raft_format").set(f64::from(written));
    }
    metrics::gauge!("hellojohn_raft_format_known").set(f64::from(FORMAT));
    let (waiting, dropped) = health.audit_outbox();
    set("hellojohn_audit_outbox_records", waiting);
    set("hellojohn_audit_outbox_dropped", dropped);
    let raft = &status.raft;
    for role in [Role::Leader, Role::Follower, Role::Learner, Role::Single] {
        metrics::gauge!("hellojohn_raft_role", "role" => name(role)).set(flag(status.role == role));
    }
    set("hellojohn_raft_term", status.term);
    set("hellojohn_raft_applied_index", raft.applied_index);
    set("hellojohn_raft_commit_index", raft.commit_index);
    set("hellojohn_raft_last_log_index", raft.last_log_index);
    set("hellojohn_raft_snapshot_index", raft.snapshot_index);
    set("hellojohn_raft_purged_index", raft.purged_index);
    metrics::gauge!("hellojohn_raft_quorum_ok").set(flag(raft.quorum_ok));
    for peer in &raft.peers {
        // Whoever led before does not know any more.
        metrics::gauge!("hellojohn_raft_peer_lag_entries", "peer" => peer.id.clone())
            .set(peer.lag.map_or(f64::NAN, number));
        let ahead = peer.clock_ahead_ms.unwrap_or(0);
        let seconds = number(ahead.unsigned_abs()) / 1000.0;
        metrics::gauge!("hellojohn_raft_peer_clock_ahead_seconds", "peer" => peer.id.clone())
            .set(if ahead < 0 { -seconds } else { seconds });
        if let Some(millis) = peer.last_contact_ms {
            metrics::gauge!("hellojohn_raft_peer_last_contact_seconds", "peer" => peer.id.clone())
                .set(number(millis) / 1000.0);
        }
    }
    if let Some(ends) = status.certificate_ends {
        let seconds = u64::try_from(ends.secs()).unwrap_or(0);
        set("hellojohn_raft_certificate_not_after_seconds", seconds);
    }
    set("hellojohn_fs_projected_index", status.fs.projected_index);
    set("hellojohn_fs_repairs", status.fs.repairs);
    set("hellojohn_fs_quarantined", status.fs.quarantined);
    metrics::gauge!("hellojohn_fs_degraded").set(flag(status.fs_degraded.is_some()));
    if let Some(global) = pools.global() {
        metrics::gauge!("hellojohn_db_pool_connections", "state" => "open").set(f64::from(global.open()));
        metrics::gauge!("hellojohn_db_pool_connections", "state" => "in_use").set(f64::from(global.in_use()));
    }
    let tenants = u32::try_from(pools.tenant_count()).unwrap_or(u32::MAX);
    metrics::gauge!("hellojohn_db_tenant_pools").set(f64::from(tenants));
}

fn set(name: &'static str, value: u64) {
    metrics::gauge!(name).set(number(value));
}

/// Prometheus knows doubles only: exact to 2^32, and beyond to about sixteen digits.
fn number(value: u64) -> f64 {
    let (high, low) = (value >> 32, value & u64::from(u32::MAX));
    let part = |bits: u64| f64::from(u32::try_from(bits).unwrap_or(u32::MAX));
    part(high) * 4_294_967_296.0 + part(low)
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Learner => "learner",
        Role::Single => "single",
    }
}
