//! One drill from beginning to end: a fresh cluster, load, the fault, healing, judgement.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::check;
use crate::cluster::settings::Settings;
use crate::cluster::{Cluster, PATIENCE, Wiring};
use crate::history;
use crate::invariants::{self, documents, sameness, secrets};
use crate::load::{Load, Plan};
use crate::machine::Ticks;
use crate::net::Place;
use crate::observer::Observer;
use crate::report::Figures;

/// What all drills of one call share.
#[derive(Debug, Clone)]
pub struct Context {
    /// The program under test.
    pub binary: PathBuf,
    /// Directory for everything.
    pub work: PathBuf,
    /// Where the nodes are.
    pub place: Place,
    /// The load.
    pub plan: Plan,
}

/// What a drill needs from the beginning.
#[derive(Debug)]
pub struct Setup {
    /// What passes between the nodes goes through this.
    pub wiring: Wiring,
    /// Settings of the nodes.
    pub settings: Settings,
    /// The load.
    pub plan: Plan,
    /// Where the nodes will be.
    pub place: Place,
}

/// A cluster under load.
#[derive(Debug)]
pub struct Run {
    /// The cluster.
    pub cluster: Cluster,
    /// The clients.
    pub load: Load,
    /// The looks.
    pub observer: Observer,
    /// Figures that a drill may add notes and violations to.
    pub figures: Figures,
    secrets: Vec<String>,
    mark: u64,
    marked: Instant,
    ticks: Ticks,
    term: u64,
    changes: u64,
}

impl Run {
    /// Starts cluster and load. Ends what was started when something does not come about.
    ///
    /// # Errors
    /// When the cluster does not form or writes do not flow.
    pub async fn begin(setup: Setup, drill: &str, title: &str) -> Result<Self, String> {
        let mut cluster = Cluster::start(setup.settings, setup.place, setup.wiring).await?;
        let started = async {
            let leader = cluster.healthy().await?;
            let secrets = secrets::plant(&cluster, leader).await?;
            let load = Load::start(&cluster.directory, setup.plan, leader).await?;
            Ok::<_, String>((secrets, load))
        };
        let (secrets, load) = match started.await {
            Ok(started) => started,
            Err(error) => {
                cluster.end().await;
                return Err(error);
            }
        };
        let observer = Observer::start(&cluster.directory);
        let figures = Figures {
            drill: drill.to_owned(),
            title: title.to_owned(),
            place: setup.place.to_string(),
            ..Figures::default()
        };
        let mut run = Self {
            cluster,
            load,
            observer,
            figures,
            secrets,
            mark: 0,
            marked: Instant::now(),
            ticks: Ticks::now(),
            term: 0,
            changes: 0,
        };
        // So that the observer has seen every node before anything happens.
        sleep(Duration::from_millis(500)).await;
        run.mark();
        Ok(run)
    }

    /// From now on gaps and elections count; a drill calls it when it prepared something first.
    pub fn mark(&mut self) {
        let seen = self.observer.seen();
        (self.term, self.changes) = (seen.term, seen.changes);
        (self.mark, self.marked) = (self.load.recorder().now(), Instant::now());
        self.ticks = Ticks::now();
    }

    /// Terms that were begun since the mark.
    pub fn elections(&self) -> u64 {
        self.observer.seen().term.saturating_sub(self.term)
    }

    /// Changes of leader since the mark.
    pub fn leader_changes(&self) -> u64 {
        self.observer.seen().changes.saturating_sub(self.changes)
    }

    /// Something that the drill asks for beyond the invariants.
    pub fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            self.figures.violations.push(format!("expected: {what}"));
        }
    }

    /// Something worth telling.
    pub fn note(&mut self, what: String) {
        self.figures.notes.push(what);
    }

    /// The node that leads.
    ///
    /// # Errors
    /// When none does.
    pub async fn leader(&self) -> Result<usize, String> {
        self.cluster.leader(PATIENCE).await
    }

    /// Heals everything, waits for health, stops the load, and judges. The processes are ended in any case.
    pub async fn finish(mut self, drilled: Result<(), String>) -> Figures {
        if let Err(why) = drilled {
            self.figures.violations.push(format!("the drill did not go through: {why}"));
        }
        if let Err(why) = self.healed().await {
            self.figures.violations.push(format!("after healing: {why}"));
        }
        if let Some((idle, stolen)) = Ticks::now().since(self.ticks) {
            self.note(format!("processors {idle} % idle, {stolen} % stolen"));
        }
        let dropped = self.cluster.net.dropped();
        if dropped > 0 {
            self.note(format!("{dropped} packets dropped"));
        }
        let struck = self.cluster.net.links().struck();
        if struck > 0 {
            self.note(format!("{struck} messages lost or connections ended by the proxies"));
        }
        let Self { cluster, load, observer, mut figures, secrets, mark, marked, term, changes, ticks: _ } =
            self;
        figures.seconds = marked.elapsed().as_secs();
        let stopped = load.recorder().now();
        let after = Instant::now();
        let mut books = load.stop().await;
        figures.reads_in_history = books.reads_linearizably;
        figures.count(&books.operations, books.session_reads, mark);
        if !books.reasons.is_empty() {
            figures.notes.push(format!("unknown because: {}", books.reasons));
        }
        figures.violations.append(&mut books.violations);
        if let Err(why) = invariants::settle(&cluster, books.highest_index).await {
            figures.violations.push(why);
        }
        let now = || stopped + u64::try_from(after.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (operations, keys) = (&books.operations, &books.keys);
        let found = documents::read_all(&cluster.directory, operations, keys, books.highest_index, now).await;
        figures.lost = found.lost;
        figures.violations.extend(found.violations);
        books.operations.extend(found.reads);
        figures.violations.extend(check::violations(&books.operations));
        figures.violations.extend(sameness::differences(&cluster).await);
        figures.violations.extend(secrets::found(&cluster, &secrets).await);
        let seen = observer.stop().await;
        figures.elections = seen.term.saturating_sub(term);
        figures.leader_changes = seen.changes.saturating_sub(changes);
        figures.violations.extend(seen.violations());
        let place = cluster.work().join("history.jsonl");
        if let Err(why) = history::save(&place, &books.operations) {
            figures.violations.push(why);
        }
        cluster.end().await;
        figures
    }

    async fn healed(&mut self) -> Result<(), String> {
        self.cluster.heal().await?;
        self.cluster.start_all()?;
        self.cluster.healthy().await?;
        self.load.flows(20).await
    }
}
