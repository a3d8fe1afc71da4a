//! L5: the command line, one file a command.
//!
//! Owns parsing, output and exit codes. A command reads its options, calls the API of a node or a part of this
//! crate, and shows what came of it. Must never print a credential that it was given, and never mint one in
//! silence.

pub mod admin;
pub mod api;
pub mod args;
pub mod certs;
pub mod cluster;
pub mod completions;
pub mod config;
pub mod connection;
pub mod dev;
pub mod document;
pub mod failure;
pub mod keys;
pub mod migrate;
pub mod seed;
pub mod serve;
pub mod session;
pub mod settings;
pub mod terminal;
pub mod tree;
pub mod users;
pub mod whoami;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use crate::config::env;
use crate::domain::clock::SystemClock;
use crate::domain::rng::OsRng;
use failure::{Exit, Failure};
use session::Session;
use terminal::Terminal;
use tree::{Cli, Command};

/// The program: this process's command line, environment, directory and streams.
pub fn main() -> ExitCode {
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(error) => {
            let failure = Failure::usage(format!("the working directory cannot be used: {error}"))
                .remedy("change to a directory that exists");
            drop(writeln!(io::stderr(), "{failure}"));
            return ExitCode::from(failure.exit.code());
        }
    };
    let (mut out, mut err) = (io::stdout(), io::stderr());
    ExitCode::from(run(std::env::args_os(), env::process(), directory, &mut out, &mut err))
}

/// Runs a command line, which begins with the program's name; gives the exit code.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    env: BTreeMap<String, String>,
    directory: PathBuf,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let value_options = tree::value_options();
    let value_options: Vec<&str> = value_options.iter().map(String::as_str).collect();
    let cli = match Cli::try_parse_from(args::normalize(args, &value_options)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, out, err),
    };
    let mut session = Session {
        options: cli.globals.options(),
        env,
        directory,
        terminal: Terminal::new(cli.globals.output, out, err),
        clock: Arc::new(SystemClock),
        rng: Arc::new(OsRng),
    };
    match dispatch(cli.command, &mut session) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            session.terminal.fail(&failure);
            failure.exit.code()
        }
    }
}

/// Help and version are output; everything else is a mistake on the command line.
fn refuse(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let text = error.render();
    if error.use_stderr() {
        drop(write!(err, "{text}"));
        return Exit::Usage.code();
    }
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok.code(),
        Err(_) => Exit::Failed.code(),
    }
}

fn dispatch(command: Command, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match command {
        // These make their own threads.
        Command::Serve(serve) => serve.run(session),
        Command::Dev(dev) => dev.run(session),
        Command::Config(settings) => settings.run(session),
        Command::Completions(completions) => completions.run(session),
        Command::Migrate(migrate) => block_on(migrate.run(session)),
        Command::Seed(seed) => block_on(seed.run(session)),
        Command::Keys(keys) => block_on(keys.run(session)),
        Command::Admin(admin) => block_on(admin.run(session)),
        Command::Users(users) => block_on(users.run(session)),
        Command::Whoami(whoami) => block_on(whoami.run(session)),
        Command::Cluster(cluster) => block_on(cluster.run(session)),
    }
}

fn block_on(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    runtime()?.block_on(command)
}

/// A small runtime for a command.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("threads cannot be started: {error}")))
}
