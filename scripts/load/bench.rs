//! Rate and latency: clients that write one after the other without a pause.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Load;
use crate::target::{Target, Written};

const WARM_UP: Duration = Duration::from_secs(1);

/// What one client measured.
#[derive(Debug, Default)]
struct Measured {
    latencies: Vec<Duration>,
    failed: u64,
}

pub(crate) async fn run(load: &Load, length: Duration) -> Result<(), String> {
    let target = Arc::new(load.target()?);
    let (Some(leader), term_before) = target.leader().await else { return Err("no node leads".to_owned()) };
    let begin = Instant::now() + WARM_UP;
    let clients = (0..load.clients).map(|client| {
        let client = Client {
            target: Arc::clone(&target),
            node: leader,
            key: load.key(client),
            bytes: load.value_bytes,
            begin,
            end: begin + length,
        };
        tokio::spawn(client.write())
    });
    let mut all = Measured::default();
    for client in futures::future::join_all(clients).await {
        let measured = client.map_err(|error| error.to_string())??;
        all.latencies.extend(measured.latencies);
        all.failed += measured.failed;
    }
    let (_, term_after) = target.leader().await;
    all.latencies.sort_unstable();
    let writes = all.latencies.len();
    let rate = f64::from(u32::try_from(writes).unwrap_or(u32::MAX)) / length.as_secs_f64();
    let line = json!({
        "target": target.name(),
        "clients": load.clients,
        "writes": writes,
        "writes_per_second": rate.round(),
        "p50_ms": percentile(&all.latencies, 50),
        "p99_ms": percentile(&all.latencies, 99),
        "failed": all.failed,
        "elections": term_after.saturating_sub(term_before),
    });
    println!("{line}");
    Ok(())
}

struct Client {
    target: Arc<Target>,
    node: usize,
    key: String,
    bytes: usize,
    begin: Instant,
    end: Instant,
}

impl Client {
    async fn write(mut self) -> Result<Measured, String> {
        let mut measured = Measured::default();
        let mut sequence = 0;
        loop {
            let started = Instant::now();
            if started >= self.end {
                return Ok(measured);
            }
            sequence += 1;
            let value = self.target.value(sequence, self.bytes);
            let written = self.target.write(self.node, &self.key, &value).await?;
            let done = Instant::now();
            let counts = started >= self.begin && done < self.end;
            match written {
                Written::Acknowledged(_) if counts => measured.latencies.push(done - started),
                Written::Acknowledged(_) => {}
                Written::Refused(leader) => {
                    self.node = leader.unwrap_or((self.node + 1) % self.target.nodes());
                    measured.failed += u64::from(counts);
                }
                Written::Unknown => measured.failed += u64::from(counts),
            }
        }
    }
}

/// The given percentile in milliseconds, with microseconds behind the point.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let position = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    let latency = sorted.get(position).copied().unwrap_or_default();
    f64::from(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile(&sorted, 50) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&sorted, 99) - 198.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }
}
