//! Writes while the cluster is being broken, and the check afterwards.
//!
//! The script that breaks it talks to this process: `warm` comes out when writes flow; `mark` goes in just
//! before the fault; `stop` when the cluster has healed. Then writes must flow again, they stop, every node is
//! compared with what was acknowledged, and one JSON object comes out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Load;
use crate::history::{History, Ledger};
use crate::target::{Target, Written};

/// Pause before a refused write is tried elsewhere; also how exactly a gap can be measured.
const PAUSE: Duration = Duration::from_millis(5);
/// Acknowledged writes until the load counts as flowing.
const WARM: usize = 200;
/// Longest wait for writes to flow, and for all nodes to have caught up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest drill.
const LIMIT: Duration = Duration::from_secs(300);

type Shared = Arc<Mutex<History>>;

pub(crate) async fn run(load: &Load) -> Result<(), String> {
    let target = Arc::new(load.target()?);
    let history: Shared = Arc::default();
    let stop = CancellationToken::new();
    let clients: Vec<_> = (0..load.clients)
        .map(|client| {
            let client = Client {
                target: Arc::clone(&target),
                history: Arc::clone(&history),
                stop: stop.clone(),
                ledger: Ledger::new(load.key(client)),
                node: client % target.nodes(),
                bytes: load.value_bytes,
            };
            tokio::spawn(client.write())
        })
        .collect();

    let mut commands = commands()?;
    flowing(&history, WARM).await?;
    println!("warm");
    expect(&mut commands, "mark").await?;
    let (_, term_before) = target.leader().await;
    let mark = Instant::now();
    println!("marked");
    expect(&mut commands, "stop").await?;
    flowing(&history, load.clients).await?;
    stop.cancel();

    let mut ledgers = Vec::new();
    for client in clients {
        ledgers.push(client.await.map_err(|error| error.to_string())??);
    }
    let (_, term_after) = target.leader().await;
    let books = std::mem::take(&mut *lock(&history));
    let mut losses = Vec::new();
    for ledger in &ledgers {
        if target.counts_every_change() && ledger.vanished > 0 {
            losses.push(format!("{}: {} acknowledged writes vanished", ledger.key, ledger.vanished));
        }
        for node in 0..target.nodes() {
            losses.extend(check(&target, node, ledger, books.index).await?);
        }
    }
    for loss in &losses {
        eprintln!("load: LOST: {loss}");
    }
    let line = json!({
        "target": target.name(),
        "gap_ms": u64::try_from(books.longest_gap(mark).as_millis()).unwrap_or(u64::MAX),
        "acknowledged": books.count(),
        "unknown": books.unknown,
        "refused": books.refused,
        "lost": losses.len(),
        "elections": term_after.saturating_sub(term_before),
    });
    println!("{line}");
    if losses.is_empty() { Ok(()) } else { Err("acknowledged writes were lost".to_owned()) }
}

/// Waits until so many more writes were acknowledged.
async fn flowing(history: &Shared, more: usize) -> Result<(), String> {
    let enough = lock(history).count() + more;
    let deadline = Instant::now() + PATIENCE;
    loop {
        {
            let history = lock(history);
            if let Some(fault) = &history.fault {
                return Err(fault.clone());
            }
            if history.count() >= enough {
                return Ok(());
            }
        }
        if Instant::now() >= deadline {
            return Err(format!("writes did not flow within {} s", PATIENCE.as_secs()));
        }
        sleep(PAUSE).await;
    }
}

/// The lines of standard input, read by a thread of their own; it ends with the input or with the process.
fn commands() -> Result<mpsc::UnboundedReceiver<String>, String> {
    let (send, receive) = mpsc::unbounded_channel();
    let read = move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("commands".to_owned()).spawn(read).map_err(|error| error.to_string())?;
    Ok(receive)
}

async fn expect(commands: &mut mpsc::UnboundedReceiver<String>, word: &str) -> Result<(), String> {
    match timeout(LIMIT, commands.recv()).await {
        Ok(Some(line)) if line == word => Ok(()),
        Ok(line) => Err(format!("expected {word:?} on standard input, not {line:?}")),
        Err(_) => Err(format!("no {word:?} within {} s", LIMIT.as_secs())),
    }
}

/// What is wrong with the client's document on a node that has caught up.
async fn check(target: &Target, node: usize, ledger: &Ledger, index: u64) -> Result<Option<String>, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match target.read(node, &ledger.key, index).await {
            Ok(found) => {
                return Ok(ledger.contradicts(found.as_ref()).map(|why| format!("node {}: {why}", node + 1)));
            }
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("node {} cannot be read: {error}", node + 1));
            }
            Err(_) => sleep(PAUSE * 10).await,
        }
    }
}

struct Client {
    target: Arc<Target>,
    history: Shared,
    stop: CancellationToken,
    ledger: Ledger,
    node: usize,
    bytes: usize,
}

impl Client {
    async fn write(mut self) -> Result<Ledger, String> {
        let mut sequence = 0;
        while !self.stop.is_cancelled() {
            sequence += 1;
            let value = self.target.value(sequence, self.bytes);
            let written = self.target.write(self.node, &self.ledger.key, &value).await;
            let written = written.inspect_err(|fault| lock(&self.history).fault = Some(fault.clone()))?;
            match written {
                Written::Acknowledged(acknowledged) => {
                    self.ledger.acknowledge(acknowledged.revision, &value);
                    lock(&self.history).acknowledge(Instant::now(), acknowledged);
                }
                Written::Refused(leader) => {
                    lock(&self.history).refused += 1;
                    sleep(PAUSE).await;
                    self.elsewhere(leader).await;
                }
                Written::Unknown => {
                    lock(&self.history).unknown += 1;
                    sleep(PAUSE).await;
                    self.elsewhere(None).await;
                }
            }
        }
        Ok(self.ledger)
    }

    /// To the node that was named, else to the next one that is ready, waiting for one; until the load stops.
    async fn elsewhere(&mut self, leader: Option<usize>) {
        if let Some(leader) = leader {
            self.node = leader;
            return;
        }
        while !self.stop.is_cancelled() {
            for _ in 0..self.target.nodes() {
                self.node = (self.node + 1) % self.target.nodes();
                if self.target.ready(self.node).await {
                    return;
                }
            }
            sleep(PAUSE).await;
        }
    }
}

fn lock(history: &Shared) -> std::sync::MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}
