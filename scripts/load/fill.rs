//! A catalogue of a given size, written through the admin API: tenants, and then the clients of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::Load;
use crate::target::{Target, Written};

/// Pause before a write that was not acknowledged is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest time that one document may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Name and body of the document of that number.
type Document = fn(&str, Size, u64) -> (String, String);

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) tenants: u64,
    /// Clients of each tenant.
    pub(crate) each: u64,
    /// Stands in every document, so that another round changes all of them.
    pub(crate) round: u64,
}

pub(crate) async fn run(load: &Load, size: Size) -> Result<(), String> {
    let target = Arc::new(load.target()?);
    let (Some(leader), _) = target.leader().await else { return Err("no node leads".to_owned()) };
    let began = Instant::now();
    // A client needs its tenant.
    let mut repeated = 0;
    let parts: [(u64, Document); 2] = [(size.tenants, tenant), (size.tenants * size.each, client)];
    for (count, document) in parts {
        let next = Arc::new(AtomicU64::new(0));
        let writers = (0..load.clients).map(|_| {
            let (target, next, prefix) = (Arc::clone(&target), Arc::clone(&next), load.prefix.clone());
            tokio::spawn(async move {
                let mut writer = Writer { target, node: leader, repeated: 0 };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok::<u64, String>(writer.repeated);
                    }
                    let (key, body) = document(&prefix, size, number);
                    writer.put(&key, &body).await?;
                }
            })
        });
        for writer in futures::future::join_all(writers).await {
            repeated += writer.map_err(|error| error.to_string())??;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let writes = size.tenants * (1 + size.each);
    let rate = f64::from(u32::try_from(writes).unwrap_or(u32::MAX)) / seconds;
    let line = json!({
        "writes": writes,
        "seconds": (seconds * 10.0).round() / 10.0,
        "writes_per_second": rate.round(),
        "repeated": repeated,
    });
    println!("{line}");
    Ok(())
}

fn tenant(prefix: &str, size: Size, number: u64) -> (String, String) {
    (
        format!("{prefix}{number}"),
        json!({"name": format!("Tenant {number}, round {}", size.round)}).to_string(),
    )
}

/// As large as clients of a web application usually are.
fn client(prefix: &str, size: Size, number: u64) -> (String, String) {
    let (tenant, client) = (number / size.each, number % size.each);
    let site = format!("https://app{client}.{prefix}{tenant}.example.com");
    let body = json!({
        "name": format!("Application {client}, round {}", size.round),
        "client_type": "public",
        "providers": ["password"],
        "scopes": ["openid", "profile", "email", "offline_access"],
        "redirect_uris": [format!("{site}/callback")],
        "allowed_origins": [site],
    });
    (format!("{prefix}{tenant}/clients/app{client}"), body.to_string())
}

struct Writer {
    target: Arc<Target>,
    node: usize,
    repeated: u64,
}

impl Writer {
    /// Writes until it is acknowledged: writing a document twice is writing it once.
    async fn put(&mut self, key: &str, body: &str) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.target.write(self.node, key, body).await? {
                Written::Acknowledged(_) => return Ok(()),
                Written::Refused(leader) => {
                    self.node = leader.unwrap_or((self.node + 1) % self.target.nodes());
                }
                Written::Unknown => {}
            }
            if Instant::now() >= deadline {
                return Err(format!("{key} was not acknowledged within {} s", PATIENCE.as_secs()));
            }
            self.repeated += 1;
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_a_place_of_its_own_below_a_tenant_that_is_there() {
        let size = Size { tenants: 3, each: 4, round: 0 };
        let tenants: Vec<String> = (0..size.tenants).map(|number| tenant("t", size, number).0).collect();
        let clients: std::collections::BTreeSet<String> =
            (0..size.tenants * size.each).map(|number| client("t", size, number).0).collect();
        assert_eq!(clients.len(), 12);
        assert!(clients.iter().all(|key| tenants.iter().any(|slug| key.starts_with(&format!("{slug}/")))));
    }

    #[test]
    fn another_round_changes_every_document() {
        let size = |round| Size { tenants: 1, each: 1, round };
        assert_ne!(tenant("t", size(0), 0).1, tenant("t", size(1), 0).1);
        assert_ne!(client("t", size(0), 0).1, client("t", size(1), 0).1);
    }
}
