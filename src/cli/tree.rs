//! The tree of commands, their options and their help.
//!
//! Owns names and help texts; what a command does is in the file of that name. The whole tree is checked by
//! clap's own assertions and its help pinned by snapshots.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use super::admin::Admin;
use super::cluster::Cluster;
use super::completions::Completions;
use super::dev::Dev;
use super::keys::Keys;
use super::migrate::Migrate;
use super::seed::Seed;
use super::serve::Serve;
use super::settings::Settings;
use super::terminal::Output;
use super::users::Users;
use super::whoami::Whoami;
use crate::config::{Flag, Options};

/// hellojohn: a multi-tenant identity provider with a replicated control plane
///
/// Without a command it serves. Client commands talk to the HTTP API of a node and follow the leader by
/// themselves; they take their address and credentials from HELLOJOHN_* variables.
#[derive(Debug, Parser)]
#[command(
    name = "hellojohn",
    version,
    after_long_help = "Examples:
  hellojohn dev                               # everything for one machine, nothing to set up
  hellojohn --config config.yaml              # run a node
  hellojohn config check                      # is the configuration valid?
  hellojohn cluster status --all              # how are the nodes doing?
  export HELLOJOHN_BEARER=$(hellojohn admin mint-token)
  hellojohn admin tenants put acme --name Acme

Exit codes:
  0 done    1 failed    2 usage or configuration    3 not authorised    4 conflict    5 unavailable"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command, before or after its name.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration and output")]
pub struct Globals {
    /// Configuration file instead of config.yaml or configs/config.yaml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no configuration file, only the environment (also -env)
    #[arg(long = "env", global = true)]
    pub env_only: bool,
    /// File of NAME=value lines instead of .env; the environment wins over it (also -env-file)
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Set one setting, over everything else; repeatable
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE", value_parser = flag)]
    pub set: Vec<Flag>,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t = Output::Human, value_name = "FORM")]
    pub output: Output,
}

/// The commands. A variant without a comment is told by its own options' type.
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(Serve),
    Dev(Dev),
    Migrate(Migrate),
    Seed(Seed),
    /// List, rotate and retire signing keys
    #[command(subcommand)]
    Keys(Keys),
    /// Administer tenants, clients and scopes
    #[command(subcommand)]
    Admin(Admin),
    /// Import people, and help those who lost their second factor
    #[command(subcommand)]
    Users(Users),
    Whoami(Whoami),
    /// Look at the cluster, and make certificates for it
    #[command(subcommand)]
    Cluster(Cluster),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(Settings),
    Completions(Completions),
}

impl Globals {
    /// The options that choose the sources of the configuration.
    pub fn options(&self) -> Options {
        Options {
            config: self.config.clone(),
            env_only: self.env_only,
            env_file: self.env_file.clone(),
            flags: self.set.clone(),
        }
    }
}

/// The options before the command's name that are followed by a value.
pub fn value_options() -> Vec<String> {
    let command = Cli::command();
    let takes_value = |arg: &&clap::Arg| arg.get_action().takes_values();
    command
        .get_arguments()
        .filter(takes_value)
        .filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
        .collect()
}

fn flag(text: &str) -> Result<Flag, String> {
    Flag::parse(text).map_err(|_| "write section.key=value, for example server.addr=:8080".to_owned())
}
