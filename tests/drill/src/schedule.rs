//! Faults at random: a seed gives a sequence of faults and healings, always the same one.

use std::fmt;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use crate::cluster::Wiring;
use crate::dice::Dice;
use crate::drills;
use crate::drills::disks::BadDisk;
use crate::net::{NODES, Place};
use crate::report::Figures;
use crate::run::{Context, Run};

/// Whom a fault strikes. The leader is whoever leads when the fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Whoever leads.
    Leader,
    /// This node, whatever it does.
    Node(usize),
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("the leader"),
            Self::Node(node) => write!(f, "node{}", node + 1),
        }
    }
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, and a start when the step is over.
    Kill(Whom),
    /// kill -9 of all at once.
    KillAll,
    /// SIGTERM, and a start when the step is over.
    Terminate(Whom),
    /// SIGSTOP, and SIGCONT when the step is over.
    Pause(Whom),
    /// Nothing from or to it.
    Isolate(Whom),
    /// Nothing from the one to the other.
    OneWay(Whom, Whom),
    /// Nothing between two.
    Part(Whom, Whom),
    /// So many of 100 packets between the nodes are lost (packet filter).
    Lose(u8),
    /// Milliseconds of delay, and how much more or less it may be (proxies).
    Delay(u64, u64),
    /// Each write and sync takes so many milliseconds longer (strace).
    SlowDisk(Whom, u64),
    /// Syncs fail, which ends it, and a start when the step is over (strace).
    FailingDisk(Whom),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(whom) => write!(f, "kill -9 {whom}"),
            Self::KillAll => f.write_str("kill -9 all"),
            Self::Terminate(whom) => write!(f, "SIGTERM {whom}"),
            Self::Pause(whom) => write!(f, "SIGSTOP {whom}"),
            Self::Isolate(whom) => write!(f, "cut off {whom}"),
            Self::OneWay(from, to) => write!(f, "cut {from} to {to}, one way"),
            Self::Part(one, other) => write!(f, "cut {one} and {other}"),
            Self::Lose(percent) => write!(f, "lose {percent} % of packets"),
            Self::Delay(middle, jitter) => write!(f, "delay {middle} ± {jitter} ms"),
            Self::SlowDisk(whom, millis) => write!(f, "slow the disk of {whom} by {millis} ms"),
            Self::FailingDisk(whom) => write!(f, "fail the disk of {whom}"),
        }
    }
}

/// Faults at the same time, and how long they last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How long everything is whole before.
    pub calm: Duration,
    /// What happens, one after the other.
    pub faults: Vec<Fault>,
    /// How long until everything is made whole.
    pub lasts: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        write!(
            f,
            "after {} ms: {}; for {} ms",
            self.calm.as_millis(),
            faults.join(" and "),
            self.lasts.as_millis()
        )
    }
}

/// All steps of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The links are direct, or go through proxies that delay.
    pub wiring: Wiring,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// What follows from `seed`: steps that last about `length` together.
    pub fn new(seed: u64, length: Duration) -> Self {
        let mut dice = Dice::new(seed);
        let wiring = if dice.chance(50) { Wiring::Direct } else { Wiring::Proxied };
        let (mut steps, mut total) = (Vec::new(), Duration::ZERO);
        while total < length {
            let calm = Duration::from_millis(dice.between(300, 3_000));
            let lasts = Duration::from_millis(dice.between(200, 6_000));
            let count = if dice.chance(35) { 2 } else { 1 };
            let faults = (0..count).map(|_| fault(&mut dice, wiring)).collect();
            // Healing and recovery take about so long besides.
            total += calm + lasts + Duration::from_secs(2);
            steps.push(Step { calm, faults, lasts });
        }
        Self { wiring, steps }
    }
}

fn fault(dice: &mut Dice, wiring: Wiring) -> Fault {
    let first = whom(dice);
    let second = loop {
        let second = Whom::Node(usize::try_from(dice.below(3)).unwrap_or(0));
        if second != first {
            break second;
        }
    };
    match dice.below(15) {
        0 | 1 => Fault::Kill(Whom::Leader),
        2 => Fault::Kill(first),
        3 => Fault::KillAll,
        4 => Fault::Terminate(first),
        5 | 6 => Fault::Pause(first),
        7 => Fault::Isolate(first),
        8 => Fault::OneWay(first, second),
        9 => Fault::Part(first, second),
        10 | 11 => Fault::SlowDisk(first, dice.between(5, 800)),
        12 => Fault::FailingDisk(first),
        _ => match wiring {
            Wiring::Direct => Fault::Lose(u8::try_from(dice.between(5, 30)).unwrap_or(5)),
            Wiring::Proxied | Wiring::Messages => {
                let middle = dice.between(10, 150);
                Fault::Delay(middle, dice.between(0, middle))
            }
        },
    }
}

fn whom(dice: &mut Dice) -> Whom {
    match dice.below(5) {
        0 | 1 => Whom::Leader,
        other => Whom::Node(usize::try_from(other - 2).unwrap_or(0)),
    }
}

/// Runs the schedule of a seed, telling each step as it begins.
pub async fn run(context: &Context, seed: u64, length: Duration) -> Figures {
    let schedule = Schedule::new(seed, length);
    let name = format!("random-{seed}");
    let mut setup = drills::setup(context, &name);
    setup.wiring = schedule.wiring;
    setup.plan.seed = seed;
    let title = format!("seed {seed}, {} steps", schedule.steps.len());
    match Run::begin(setup, &name, &title).await {
        Ok(mut run) => {
            let drilled = all(&mut run, &schedule).await;
            Box::pin(run.finish(drilled)).await
        }
        Err(why) => Figures {
            drill: name,
            title,
            violations: vec![format!("the schedule could not begin: {why}")],
            ..Figures::default()
        },
    }
}

/// Tokens live for ten minutes.
const TOKENS: Duration = Duration::from_secs(240);

async fn all(run: &mut Run, schedule: &Schedule) -> Result<(), String> {
    let mut minted = Instant::now();
    for (number, step) in schedule.steps.iter().enumerate() {
        eprintln!("    step {}: {step}", number + 1);
        sleep(step.calm).await;
        let failed = |why: String| format!("step {} ({step}): {why}", number + 1);
        let mut harm = Harm::default();
        for fault in &step.faults {
            begin(run, *fault, &mut harm).await.map_err(failed)?;
        }
        sleep(step.lasts).await;
        for node in harm.paused {
            // A second fault of the step may have ended it.
            let _gone = run.cluster.signal(node, Signal::SIGCONT);
        }
        for node in harm.failing {
            // One that has met an error ends, and is started again only when it has. One that is cut off has nothing to sync
            // and goes on.
            let _ended = run.cluster.ended(node, Duration::from_secs(10)).await;
        }
        for (_, disk) in harm.disks {
            disk.end().await.map_err(failed)?;
        }
        whole(run, &mut minted).await.map_err(failed)?;
    }
    Ok(())
}

/// What must be made whole node by node when a step is over.
#[derive(Default)]
struct Harm {
    paused: Vec<usize>,
    disks: Vec<(usize, BadDisk)>,
    /// Those whose disk fails.
    failing: Vec<usize>,
}

impl Harm {
    fn has(&self, node: usize) -> bool {
        self.paused.contains(&node) || self.disks.iter().any(|(harmed, _)| *harmed == node)
    }
}

async fn whole(run: &mut Run, minted: &mut Instant) -> Result<(), String> {
    run.cluster.heal().await?;
    run.cluster.start_all()?;
    run.cluster.healthy().await?;
    if minted.elapsed() > TOKENS {
        run.cluster.refresh_tokens().await?;
        *minted = Instant::now();
    }
    run.load.flows(20).await
}

fn begin<'a>(run: &'a mut Run, fault: Fault, harm: &'a mut Harm) -> LocalBoxFuture<'a, Result<(), String>> {
    async move {
        // Nobody may lead any more when the second fault of a step begins.
        let leader = run.cluster.leader(Duration::from_secs(3)).await.unwrap_or(0);
        let node = |whom: Whom| match whom {
            Whom::Leader => leader,
            Whom::Node(node) => node,
        };
        let cluster = &mut run.cluster;
        match fault {
            Fault::Kill(whom) => {
                if cluster.runs(node(whom)) {
                    cluster.kill9(node(whom)).await?;
                }
            }
            Fault::KillAll => {
                for node in 0..NODES {
                    if cluster.runs(node) {
                        cluster.kill9(node).await?;
                    }
                }
            }
            Fault::Terminate(whom) => {
                // One that stands still, or whose disk does, cannot end in order.
                if cluster.runs(node(whom)) && !harm.has(node(whom)) {
                    cluster.terminate(node(whom)).await?;
                }
            }
            Fault::Pause(whom) => {
                if cluster.runs(node(whom)) {
                    cluster.signal(node(whom), Signal::SIGSTOP)?;
                    harm.paused.push(node(whom));
                }
            }
            Fault::Isolate(whom) => {
                for other in (0..NODES).filter(|other| *other != node(whom)) {
                    cluster.part(node(whom), other).await?;
                }
            }
            Fault::OneWay(from, to) => cluster.cut(node(from), node(to)).await?,
            Fault::Part(one, other) => cluster.part(node(one), node(other)).await?,
            Fault::Lose(percent) => {
                // Without the packet filter there is nothing that loses packets; a delay has to do.
                if cluster.net.place() == Place::Namespaces {
                    cluster.net.lose(percent).await?;
                } else {
                    delay(cluster, 75, 50);
                }
            }
            Fault::Delay(middle, jitter) => delay(cluster, middle, jitter),
            // One strace a process.
            Fault::SlowDisk(whom, _) | Fault::FailingDisk(whom) if harm.has(node(whom)) => {}
            Fault::SlowDisk(whom, millis) => {
                if cluster.runs(node(whom)) {
                    let pid = cluster.process(node(whom))?.pid();
                    let disk = BadDisk::slow_to_write(pid, Duration::from_millis(millis)).await?;
                    harm.disks.push((node(whom), disk));
                }
            }
            Fault::FailingDisk(whom) => {
                if cluster.runs(node(whom)) {
                    let disk = BadDisk::failing(cluster.process(node(whom))?.pid()).await?;
                    harm.failing.push(node(whom));
                    harm.disks.push((node(whom), disk));
                }
            }
        }
        Ok(())
    }
    .boxed_local()
}

fn delay(cluster: &crate::cluster::Cluster, middle: u64, jitter: u64) {
    let delay = (Duration::from_millis(middle), Duration::from_millis(jitter));
    cluster.net.links().change(|state| state.delay = Some(delay));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_schedule_and_another_seed_another() {
        let ten = Duration::from_secs(600);
        assert_eq!(Schedule::new(7, ten), Schedule::new(7, ten));
        assert_ne!(Schedule::new(7, ten), Schedule::new(8, ten));
    }

    /// What is printed for a seed is what a report names, so it does not change from release to release.
    #[test]
    fn the_first_steps_of_a_seed_are_pinned() {
        let schedule = Schedule::new(7, Duration::from_secs(20));
        let shown: Vec<String> = schedule.steps.iter().map(Step::to_string).collect();
        assert_eq!(
            shown,
            [
                "after 2136 ms: delay 139 ± 125 ms and kill -9 the leader; for 2754 ms",
                "after 1543 ms: slow the disk of the leader by 222 ms; for 3479 ms",
                "after 2750 ms: kill -9 the leader; for 5268 ms",
            ]
        );
    }

    #[test]
    fn a_longer_schedule_begins_as_the_shorter_one() {
        let (short, long) =
            (Schedule::new(3, Duration::from_secs(60)), Schedule::new(3, Duration::from_secs(600)));
        assert!(long.steps.len() > short.steps.len());
        assert_eq!(long.steps.get(..short.steps.len()), Some(short.steps.as_slice()));
    }

    #[test]
    fn a_link_is_never_cut_from_a_node_to_itself_by_name() {
        for seed in 0..200 {
            for fault in
                Schedule::new(seed, Duration::from_secs(300)).steps.iter().flat_map(|step| &step.faults)
            {
                if let Fault::OneWay(one, other) | Fault::Part(one, other) = fault {
                    assert_ne!(one, other);
                }
            }
        }
    }
}
