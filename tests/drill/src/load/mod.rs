//! Clients that write and read while the cluster is being broken, and write down every call.

mod client;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::directory::Directory;
use crate::dice::Dice;
use crate::history::Recorder;
use crate::waiting::until;

use client::Client;
pub use sessions::Sessions;

/// How much load there is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Clients at the same time.
    pub clients: usize,
    /// Registers, which all clients share.
    pub keys: usize,
    /// Pause of a client after each call.
    pub pause: Duration,
    /// How long a client waits for an answer. Clients that wait for a silent leader notice no other one meanwhile, so
    /// this is part of what a gap measures.
    pub patience: Duration,
    /// Chance that begins the clients' choices.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clients: 6,
            keys: 4,
            pause: Duration::from_millis(4),
            patience: Duration::from_millis(500),
            seed: 1,
        }
    }
}

/// What clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) directory: Arc<Directory>,
    pub(crate) recorder: Recorder,
    pub(crate) sessions: Sessions,
    pub(crate) keys: Vec<String>,
    pub(crate) reads_linearizably: bool,
    next_value: AtomicU64,
    /// Reads outside the history: at any node, not older than what the client knows.
    pub(crate) session_reads: AtomicU64,
}

impl Shared {
    /// A number that nobody wrote yet.
    pub(crate) fn fresh_value(&self) -> u64 {
        self.next_value.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts the clients and returns when writes flow.
    ///
    /// # Errors
    /// When they do not.
    pub async fn start(directory: &Arc<Directory>, plan: Plan, leader: usize) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            directory: Arc::clone(directory),
            recorder: Recorder::default(),
            sessions: Sessions::default(),
            keys: (0..plan.keys).map(|key| format!("drill-{key}")).collect(),
            reads_linearizably: reads_linearizably(directory, leader).await?,
            next_value: AtomicU64::new(0),
            session_reads: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        let mut dice = Dice::new(plan.seed);
        for number in 0..plan.clients {
            let dice = Dice::new(dice.draw());
            let client = Client::new(number, Arc::clone(&shared), dice, leader, plan);
            clients.spawn(client.run(stop.clone()));
        }
        let load = Self { shared, stop, clients };
        load.flows(plan.clients * 5).await?;
        Ok(load)
    }

    /// Waits until so many more writes were acknowledged.
    ///
    /// # Errors
    /// When they are not.
    pub async fn flows(&self, more: usize) -> Result<(), String> {
        let enough = self.shared.recorder.acknowledged() + more;
        let what = format!("{more} more acknowledged writes");
        until(&what, Duration::from_secs(60), async || {
            (self.shared.recorder.acknowledged() >= enough).then_some(())
        })
        .await
    }

    /// Writes so far whose outcome is not known although the connection stood.
    pub fn in_doubt(&self) -> u64 {
        self.shared.sessions.in_doubt()
    }

    /// The history so far.
    pub fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// Ends the clients and gives what they wrote down.
    pub async fn stop(mut self) -> Books {
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
        Books {
            operations: self.shared.recorder.operations(),
            violations: self.shared.sessions.violations(),
            reasons: self.shared.sessions.reasons(),
            highest_index: self.shared.sessions.highest(),
            session_reads: self.shared.session_reads.load(Ordering::Relaxed),
            reads_linearizably: self.shared.reads_linearizably,
            keys: self.shared.keys.clone(),
        }
    }
}

/// What the clients wrote down.
#[derive(Debug)]
pub struct Books {
    /// The history.
    pub operations: Vec<crate::history::Operation>,
    /// What sessions saw that must not be.
    pub violations: Vec<String>,
    /// Why the outcome of writes is not known.
    pub reasons: String,
    /// The highest log index that any acknowledgement told.
    pub highest_index: u64,
    /// Reads outside the history.
    pub session_reads: u64,
    /// Whether the history has reads.
    pub reads_linearizably: bool,
    /// Names of the registers.
    pub keys: Vec<String>,
}

/// Whether the product offers linearizable reads; without them a read during the drill proves nothing.
async fn reads_linearizably(directory: &Directory, leader: usize) -> Result<bool, String> {
    let path = "/v1/admin/tenants/drill-none?consistency=linearizable";
    let answer = until("an answer to a linearizable read", Duration::from_secs(10), async || {
        let answer = directory.send(leader, Method::GET, path, &[], None).await.ok()?;
        (answer.status < 500).then_some(answer)
    })
    .await?;
    match answer.status {
        200 | 404 => Ok(true),
        400 => Ok(false),
        status => Err(format!("a linearizable read was answered {status} {}", answer.code())),
    }
}
