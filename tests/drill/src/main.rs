//! Runs drills; `scripts/drill` builds what is needed and calls this.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use hellojohn_drill::drills::{self, Drill};
use hellojohn_drill::load::Plan;
use hellojohn_drill::net::Place;
use hellojohn_drill::report::Figures;
use hellojohn_drill::run::Context;
use hellojohn_drill::{check, history, schedule};
use nix::unistd::Uid;
use tokio::signal::unix::{SignalKind, signal};

/// Fault drills against a cluster of three processes
#[derive(Debug, Parser)]
struct Cli {
    /// The hellojohn program to drill
    #[arg(long, default_value = "target/debug/hellojohn")]
    bin: PathBuf,
    /// Directory for data, logs and histories; those of a drill that holds are removed
    #[arg(long, default_value = ".local/drills")]
    work: PathBuf,
    /// Also write the figures of all drills to this file, as a JSON array
    #[arg(long)]
    json: Option<PathBuf>,
    /// Put all nodes on the loopback even as root
    #[arg(long)]
    loopback: bool,
    /// Clients at the same time
    #[arg(long, default_value_t = Plan::default().clients)]
    clients: usize,
    /// Keep data, logs and histories of drills that hold too
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Name every fault and what proves it
    List,
    /// Run drills by name: F1, F7, F8-loss, all
    Run {
        /// Names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Run faults at random; the same seed gives the same faults
    Random {
        /// What the faults follow from
        #[arg(long)]
        seed: u64,
        /// How long, about
        #[arg(long, default_value_t = 5)]
        minutes: u64,
    },
    /// Judge a history that a drill left behind
    Check {
        /// The file history.jsonl
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = Box::pin(run(&cli)) => done,
            name = told_to_end() => Err(format!("told to end ({name})")),
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => failed("not everything held; see above"),
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("drill: {error}");
    ExitCode::FAILURE
}

/// Dropping everything ends the processes; the script removes the rest.
async fn told_to_end() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

async fn run(cli: &Cli) -> Result<bool, String> {
    match &cli.command {
        Command::List => {
            for line in drills::list() {
                println!("{line}");
            }
            Ok(true)
        }
        Command::Check { file } => {
            let operations = history::load(file)?;
            let found = check::violations(&operations);
            for violation in &found {
                println!("VIOLATION {violation}");
            }
            println!("{} operations, {} violations", operations.len(), found.len());
            Ok(found.is_empty())
        }
        Command::Run { names } => {
            let context = context(cli)?;
            let mut all = Vec::new();
            for drill in chosen(names)? {
                eprintln!("==> {}: {}", drill.name, drill.title);
                all.push(drills::run(&drill, &context).await);
                told(cli, &context, all.last(), drill.name);
            }
            finish(cli, &all)
        }
        Command::Random { seed, minutes } => {
            let context = context(cli)?;
            eprintln!("==> random faults, seed {seed}, {minutes} min");
            let figures = schedule::run(&context, *seed, Duration::from_secs(minutes * 60)).await;
            told(cli, &context, Some(&figures), &format!("random-{seed}"));
            if !figures.holds() {
                eprintln!("    to replay: scripts/drill random --seed {seed} --minutes {minutes}");
            }
            finish(cli, &[figures])
        }
    }
}

fn chosen(names: &[String]) -> Result<Vec<Drill>, String> {
    let mut chosen = Vec::new();
    for name in names {
        let found = drills::named(name);
        if found.is_empty() {
            return Err(format!("there is no drill {name}; scripts/drill list names them"));
        }
        chosen.extend(found);
    }
    Ok(chosen)
}

fn context(cli: &Cli) -> Result<Context, String> {
    let absolute =
        |path: &PathBuf| std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()));
    let place = if cli.loopback || !Uid::effective().is_root() {
        eprintln!(
            "==> NO NETWORK NAMESPACES: all nodes are on the loopback, and links are cut by proxies that hold bytes"
        );
        eprintln!(
            "    back; lost packets, refused routes and a silent host cannot be shown this way. Run as root for those."
        );
        Place::Loopback
    } else {
        Place::Namespaces
    };
    let plan = Plan { clients: cli.clients, ..Plan::default() };
    Ok(Context { binary: absolute(&cli.bin)?, work: absolute(&cli.work)?, place, plan })
}

fn told(cli: &Cli, context: &Context, figures: Option<&Figures>, directory: &str) {
    let Some(figures) = figures else { return };
    println!("{figures}");
    for violation in &figures.violations {
        println!("    VIOLATION {violation}");
    }
    let place = context.work.join(directory);
    if figures.holds() && !cli.keep {
        // Nothing depends on it; the next run begins with an empty directory of its own.
        let _still_there = std::fs::remove_dir_all(place);
    } else if !figures.holds() {
        println!("    data, logs and history.jsonl are in {}", place.display());
    }
}

fn finish(cli: &Cli, all: &[Figures]) -> Result<bool, String> {
    if let Some(file) = &cli.json {
        let text = serde_json::to_string_pretty(all).map_err(|error| format!("no JSON: {error}"))?;
        std::fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(all.iter().all(Figures::holds))
}
