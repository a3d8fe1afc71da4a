//! Rate and latency: clients that write one after the other, without a pause or at a given rate.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::sleep_until;

use crate::Load;
use crate::target::{Target, Written};

const WARM_UP: Duration = Duration::from_secs(1);

/// How long and how often is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) length: Duration,
    /// Writes per second of all clients together; without it each begins when the one before has ended.
    pub(crate) rate: Option<u32>,
}

impl Pace {
    /// Time from one write of a client to its next.
    pub(crate) fn interval(&self, clients: usize) -> Option<Duration> {
        let clients = u32::try_from(clients).unwrap_or(u32::MAX);
        self.rate.map(|rate| Duration::from_secs(1) * clients / rate.max(1))
    }
}

/// An acknowledged write.
#[derive(Debug, Clone, Copy)]
struct Sample {
    began: Instant,
    took: Duration,
}

/// What one client measured.
#[derive(Debug, Default)]
struct Measured {
    samples: Vec<Sample>,
    failed: u64,
}

pub(crate) async fn run(load: &Load, pace: Pace, samples: Option<&Path>) -> Result<(), String> {
    let length = pace.length;
    let interval = pace.interval(load.clients);
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
            interval,
        };
        tokio::spawn(client.write())
    });
    let mut all = Measured::default();
    for client in futures::future::join_all(clients).await {
        let measured = client.map_err(|error| error.to_string())??;
        all.samples.extend(measured.samples);
        all.failed += measured.failed;
    }
    let (_, term_after) = target.leader().await;
    if let Some(path) = samples {
        write_down(path, &all.samples)?;
    }
    let mut latencies: Vec<Duration> = all.samples.iter().map(|sample| sample.took).collect();
    latencies.sort_unstable();
    let writes = latencies.len();
    let rate = f64::from(u32::try_from(writes).unwrap_or(u32::MAX)) / length.as_secs_f64();
    let line = json!({
        "target": target.name(),
        "clients": load.clients,
        "writes": writes,
        "writes_per_second": rate.round(),
        "p50_ms": percentile(&latencies, 50),
        "p99_ms": percentile(&latencies, 99),
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
    /// From the beginning of one write to that of the next.
    interval: Option<Duration>,
}

impl Client {
    /// Waits for the client's next turn and tells when it was: a write that had to wait for the one before it counts
    /// from when it was due, so that a stall shows in all writes that it held up.
    async fn turn(&self, due: &mut Instant) -> Instant {
        let Some(interval) = self.interval else { return Instant::now() };
        let turn = *due;
        *due += interval;
        if turn <= Instant::now() {
            return turn;
        }
        sleep_until(turn.into()).await;
        Instant::now()
    }

    async fn write(mut self) -> Result<Measured, String> {
        let mut measured = Measured::default();
        let mut sequence = 0;
        let mut due = Instant::now();
        loop {
            let started = self.turn(&mut due).await;
            if started >= self.end {
                return Ok(measured);
            }
            sequence += 1;
            let value = self.target.value(sequence, self.bytes);
            let written = self.target.write(self.node, &self.key, &value).await?;
            let done = Instant::now();
            let counts = started >= self.begin && done < self.end;
            match written {
                Written::Acknowledged(_) if counts => {
                    measured.samples.push(Sample { began: started, took: done - started });
                }
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

/// One line a sample: milliseconds since the epoch when it began, milliseconds that it took.
#[expect(
    clippy::disallowed_methods,
    reason = "the nodes' logs tell the time of day, which the samples are compared with"
)]
fn write_down(path: &Path, samples: &[Sample]) -> Result<(), String> {
    let (now, clock) = (Instant::now(), SystemTime::now());
    let epoch = clock.duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let mut lines = String::new();
    for sample in samples {
        let began = epoch.saturating_sub(now.duration_since(sample.began)).as_millis();
        writeln!(lines, "{began} {:.3}", sample.took.as_secs_f64() * 1000.0)
            .map_err(|error| error.to_string())?;
    }
    std::fs::write(path, lines).map_err(|error| format!("--samples {}: {error}", path.display()))
}

/// The given percentile in milliseconds, with microseconds behind the point.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let position = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    let latency = sorted.get(position).copied().unwrap_or_default();
    f64::from(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_the_rate() {
        let pace = |rate| Pace { length: Duration::ZERO, rate };
        assert_eq!(pace(Some(200)).interval(4), Some(Duration::from_millis(20)));
        assert_eq!(pace(None).interval(4), None);
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile(&sorted, 50) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&sorted, 99) - 198.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }
}
