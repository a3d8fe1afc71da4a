//! Load for the drills and benchmarks: writes to hellojohn, or to etcd as the yardstick, and keeps the books.
//!
//! `bench` measures rate and latency of writes. `fill` makes a catalogue of a given size. `people` plays the user plane, with
//! `hashes` as its yardstick. `timing` asks whether answers tell by their time who has an account; `silence` plays a database
//! that hangs. `drill` writes while a script breaks the cluster, and then checks that every acknowledged write
//! is there. Run by `scripts/failover-drill`, `scripts/bench-etcd`, `scripts/bench-size`, `scripts/bench-people`,
//! `scripts/bench-timing`, `scripts/bench-dead-database` and `scripts/soak`.
//!
//! Owns the clients' side only: never starts, stops or kills a server of the product.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod bench;
mod drill;
mod etcd;
mod fill;
mod hashes;
mod hellojohn;
mod history;
mod mail_sink;
mod mann_whitney;
mod people;
mod silence;
mod target;
mod timing;

use target::Target;

/// Write load against a three-node cluster.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure writes per second and their latency; prints one JSON object.
    Bench {
        #[command(flatten)]
        load: Load,
        /// Seconds to measure, after one second of warming up.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Writes per second of all clients together; as many as they can without it.
        #[arg(long)]
        rate: Option<u32>,
        /// File for one line a write: when it began, in milliseconds since the epoch, and how many it took.
        #[arg(long)]
        samples: Option<PathBuf>,
    },
    /// Write tenants, and clients of each (hellojohn only); prints one JSON object.
    Fill {
        #[command(flatten)]
        load: Load,
        /// Tenants to write.
        #[arg(long)]
        tenants: u64,
        /// Clients of each tenant.
        #[arg(long, default_value_t = 10)]
        each: u64,
        /// Number that stands in every document: another one changes all of them.
        #[arg(long, default_value_t = 0)]
        round: u64,
    },
    /// Play people and administrators on the user plane (hellojohn only); prints one JSON object.
    People(people::People),
    /// Compare passwords with nothing around it, the yardstick of logins; prints one JSON object.
    Hashes(hashes::Hashes),
    /// Measure how long refusals take by why they are refused (hellojohn only); prints one JSON object.
    Timing(timing::Timing),
    /// Let everybody connect to a port and answer nothing, until it is ended.
    Silence {
        /// The port, on 127.0.0.1.
        #[arg(long)]
        port: u16,
    },
    /// Write until told to stop on standard input (`mark`, then `stop`), check, and print one JSON object.
    Drill {
        #[command(flatten)]
        load: Load,
    },
}

/// What all commands need.
#[derive(Debug, Args)]
struct Load {
    /// What is written to.
    #[arg(long, value_enum)]
    target: Kind,
    /// Base URL of a node; once for each node.
    #[arg(long = "url", required = true)]
    urls: Vec<String>,
    /// File with a bearer token of an administrator (hellojohn only).
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// Clients that write at the same time, each to a document of its own.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Bytes of a written value: the JSON body of a PUT, the value of a put.
    #[arg(long, default_value_t = 128)]
    value_bytes: usize,
    /// Longest wait for an answer, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    timeout_ms: u64,
    /// First part of the names of the documents.
    #[arg(long, default_value = "load")]
    prefix: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Hellojohn,
    Etcd,
}

impl Load {
    fn target(&self) -> Result<Target, String> {
        let timeout = Duration::from_millis(self.timeout_ms);
        match self.kind()? {
            (Kind::Hellojohn, Some(token)) => Target::hellojohn(self.urls.clone(), &token, timeout),
            (Kind::Hellojohn, None) => Err("--token-file is needed to write to hellojohn".to_owned()),
            (Kind::Etcd, _) => Target::etcd(self.urls.clone(), timeout),
        }
    }

    fn kind(&self) -> Result<(Kind, Option<String>), String> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| format!("--token-file {}: {error}", path.display()))
        };
        Ok((self.target, self.token_file.as_ref().map(read).transpose()?))
    }

    /// Name of the document that a client writes to.
    fn key(&self, client: usize) -> String {
        format!("{}-{client}", self.prefix)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Only the first call counts, and there is no other.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Bench { load, seconds, rate, samples } => {
                let pace = bench::Pace { length: Duration::from_secs(seconds), rate };
                bench::run(&load, pace, samples.as_deref()).await
            }
            Command::Fill { load, tenants, each, round } => {
                fill::run(&load, fill::Size { tenants, each, round }).await
            }
            Command::People(people) => people::run(people).await,
            Command::Hashes(hashes) => hashes::run(&hashes),
            Command::Timing(timing) => timing::run(&timing).await,
            Command::Silence { port } => silence::run(port).await,
            Command::Drill { load } => drill::run(&load).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("load: {error}");
    ExitCode::FAILURE
}
