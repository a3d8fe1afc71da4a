//! The drills, and which test or drill proves each fault of the list.

mod admin;
mod clocks;
mod crashes;
pub(crate) mod disks;
mod edge;
mod lossy;
mod members;
mod partitions;
mod pauses;
mod proxied;
mod repeated;
mod rotation;
mod snapshots;
mod wiped;

use futures::future::LocalBoxFuture;

use crate::cluster::Wiring;
use crate::cluster::settings::Settings;
use crate::report::Figures;
use crate::run::{Context, Run, Setup};

/// Changes what a drill begins with; says why it cannot be run here.
type Prepare = fn(&mut Setup) -> Result<(), String>;
/// Breaks something under load and waits for what must follow.
type Inject = for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, Result<(), String>>;

/// One drill.
#[derive(Debug, Clone, Copy)]
pub struct Drill {
    /// Its name: the number of the fault, and a word where there are several.
    pub name: &'static str,
    /// What it breaks.
    pub title: &'static str,
    prepare: Prepare,
    inject: Inject,
}

/// All drills, in the order in which they are run.
pub const ALL: &[Drill] = &[
    Drill { name: "F1", title: "kill -9 the leader", prepare: plain, inject: crashes::leader },
    Drill { name: "F2", title: "kill -9 a follower", prepare: plain, inject: crashes::follower },
    Drill { name: "F3", title: "kill -9 all at once", prepare: plain, inject: crashes::all },
    Drill {
        name: "F4-sigterm",
        title: "SIGTERM the leader",
        prepare: crashes::patient,
        inject: crashes::terminate,
    },
    Drill {
        name: "F4-handover",
        title: "the leader is told to step down",
        prepare: crashes::patient,
        inject: crashes::step_down,
    },
    Drill { name: "F5", title: "SIGSTOP the leader for 5 s", prepare: plain, inject: pauses::leader },
    Drill { name: "F6", title: "leader cut off from both", prepare: plain, inject: partitions::isolated },
    Drill { name: "F7-oneway", title: "one-way loss", prepare: plain, inject: partitions::one_way },
    Drill { name: "F7-chain", title: "two cannot see each other", prepare: plain, inject: partitions::chain },
    Drill { name: "F8-loss", title: "10 % of packets lost", prepare: lossy::filter, inject: lossy::packets },
    Drill { name: "F8-delay", title: "75 ± 50 ms delay", prepare: lossy::delayed, inject: lossy::delay },
    Drill {
        name: "F8-calm",
        title: "half the RPCs lost, calm timers",
        prepare: lossy::calm,
        inject: lossy::calmly,
    },
    Drill { name: "F8-drop", title: "half the RPCs lost", prepare: lossy::messages, inject: lossy::half },
    Drill {
        name: "F9",
        title: "log flush hangs 10 s on the leader",
        prepare: disks::traced,
        inject: disks::hang,
    },
    Drill { name: "F10-log", title: "disk of raft/ full", prepare: disks::small, inject: disks::full_log },
    Drill {
        name: "F10-eio",
        title: "syncs of the leader fail",
        prepare: disks::traced,
        inject: disks::io_error,
    },
    Drill {
        name: "F10-files",
        title: "disk of the files full",
        prepare: disks::small,
        inject: disks::full_files,
    },
    Drill {
        name: "F13",
        title: "follower away past the purge",
        prepare: snapshots::often,
        inject: snapshots::away,
    },
    Drill {
        name: "F14",
        title: "snapshot transfer cut off",
        prepare: snapshots::slow,
        inject: snapshots::cut_off,
    },
    Drill { name: "F15", title: "a member replaced", prepare: members::prepare, inject: members::replace },
    Drill { name: "F18", title: "clocks 2 h apart", prepare: clocks::apart, inject: clocks::unmoved },
    Drill { name: "F22", title: "two nodes wiped", prepare: plain, inject: wiped::two },
    Drill {
        name: "F23",
        title: "leader killed, request repeated",
        prepare: plain,
        inject: repeated::across_a_failover,
    },
    Drill { name: "F24", title: "leader killed during rotation", prepare: plain, inject: rotation::killed },
    Drill { name: "F25", title: "forged hosts and paths", prepare: plain, inject: edge::forged },
    Drill {
        name: "F26",
        title: "HAProxy: kill, drain, return",
        prepare: proxied::haproxy,
        inject: proxied::behind,
    },
];

/// What proves the faults that have no drill here.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "F11",
        "tests: power_cut (kill -9 and power cuts while the log is written), snapshot (unfinished files), project::trouble \
         (crash between files and index), old_disks (death while joining), cut_short (restore and recovery), crash_points (a node \
         that is killed at its n-th sync or rename while it leads, votes, takes snapshots and writes files)",
    ),
    (
        "F12",
        "tests: log (a cut file, a flipped bit anywhere), snapshot (damage), project::reconcile (YAML), snapshots (archives)",
    ),
    (
        "F16",
        "tests: network::tests::handshake (another CA or cluster, wrong name, expired), network::tls, old_disks (a used \
         Raft id), bootstrap::rule (another master key)",
    ),
    ("F17", "test: cluster::certificates (certificates and CA of three nodes change under load)"),
    ("F19", "test: cluster::snapshots (saved, restored into a new cluster; damaged and cut archives)"),
    ("F20", "test: cluster::quorum_loss (two of three lost for good)"),
    (
        "F21",
        "test: cluster::skew (a newer build comes node by node, one goes back and comes again; older builds are turned down \
         afterwards); golden files of commands, snapshots and frames",
    ),
];

/// What `list` prints: every fault and what proves it.
pub fn list() -> Vec<String> {
    let mut lines: Vec<(u32, String)> = Vec::new();
    for drill in ALL {
        lines.push((number(drill.name), format!("{:<10} drill: {}", drill.name, drill.title)));
    }
    for (name, proof) in ELSEWHERE {
        lines.push((number(name), format!("{name:<10} {proof}")));
    }
    lines.sort_by_key(|(number, _)| *number);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn number(name: &str) -> u32 {
    name.trim_start_matches('F').split(['-', ' ']).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The drills that a name means: one, all of a fault, or `all`.
pub fn named(name: &str) -> Vec<Drill> {
    let wanted = name.to_ascii_lowercase();
    let fits = |drill: &&Drill| {
        let own = drill.name.to_ascii_lowercase();
        wanted == "all" || own == wanted || own.starts_with(&format!("{wanted}-"))
    };
    ALL.iter().filter(fits).copied().collect()
}

/// A setup with the settings that ship.
pub fn setup(context: &Context, directory: &str) -> Setup {
    Setup {
        wiring: Wiring::Direct,
        settings: Settings::new(&context.binary, &context.work.join(directory)),
        plan: context.plan,
        place: context.place,
    }
}

/// Runs one drill.
pub async fn run(drill: &Drill, context: &Context) -> Figures {
    let mut setup = setup(context, drill.name);
    let figures =
        Figures { drill: drill.name.to_owned(), title: drill.title.to_owned(), ..Figures::default() };
    if let Err(why) = (drill.prepare)(&mut setup) {
        return Figures { skipped: Some(why), ..figures };
    }
    match Run::begin(setup, drill.name, drill.title).await {
        Ok(mut run) => {
            let drilled = (drill.inject)(&mut run).await;
            Box::pin(run.finish(drilled)).await
        }
        Err(why) => Figures { violations: vec![format!("the drill could not begin: {why}")], ..figures },
    }
}

/// Nothing beyond what ships. The signature is that of all preparations.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
fn plain(_setup: &mut Setup) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_list_has_a_line() {
        let lines = list();
        for fault in 1..=26 {
            assert!(lines.iter().any(|line| number(line) == fault), "F{fault} is not in the list");
        }
    }

    #[test]
    fn a_name_means_one_drill_or_all_of_its_fault() {
        let names = |name: &str| named(name).iter().map(|drill| drill.name).collect::<Vec<_>>();
        assert_eq!(names("f1"), ["F1"]);
        assert_eq!(names("F7"), ["F7-oneway", "F7-chain"]);
        assert_eq!(names("F10-log"), ["F10-log"]);
        assert_eq!(names("all").len(), ALL.len());
        assert!(names("F99").is_empty());
    }
}
