//! `hellojohn dev`: one node with a private PostgreSQL, seeded, for one machine.
//!
//! Owns the order of start and end: PostgreSQL, schema, node, seed; then node, PostgreSQL. The first signal at
//! any moment leads to the orderly end. Must never take part in a cluster or use another database, whatever the
//! environment says.

mod guide;
mod place;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::api::{AllowedHosts, Api, Patience};
use super::failure::{Exit, Failure};
use super::seed::{self, Report, Sower};
use super::session::Session;
use super::{migrate, runtime, serve};
use crate::boot::private_postgres::{PrivatePostgres, PrivatePostgresOptions};
use crate::boot::{self, BootError};
use crate::config::value::url::BaseUrl;
use crate::config::{self, Config, Options, table};
use crate::crypto::secret::SecretString;
use guide::Guide;
use place::{Place, Secrets};

/// Name of the database.
const DATABASE: &str = "hellojohn";
/// How long the node may take until it serves people.
const READY: Duration = Duration::from_secs(60);
/// Pause between two looks at a node that is starting.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the end of connections and threads may take.
const END: Duration = Duration::from_secs(5);

/// Run everything on this machine: one node and a private PostgreSQL, seeded
///
/// Makes what it needs under the data directory at the first start and keeps it: master keys, the
/// administrator's password and other variables in the file env (mode 0600), the databases beside it. Listens on
/// this machine only. PostgreSQL's programs must be installed (package postgresql); nothing else is needed.
///
/// Reads no configuration file unless --config or --env-file name one. Settings of the environment and of --set
/// count, except those of the cluster, the listener and the databases. Not for production.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn dev
  hellojohn dev --data /tmp/hj --port 9000
  hellojohn dev --set jwt.access_ttl=1m
  hellojohn --env-file data/dev/env whoami        # meanwhile, in another terminal")]
pub struct Dev {
    /// Directory of everything that is kept
    #[arg(long, value_name = "DIR", default_value = "data/dev")]
    data: PathBuf,
    /// Port of the API on this machine
    #[arg(long, value_name = "N", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

impl Dev {
    /// Runs the command; returns when everything has stopped.
    ///
    /// # Errors
    /// When PostgreSQL or the node cannot start, or a fault ends them.
    pub fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let place = Place::make(&session.directory.join(&self.data))?;
        let secrets = place.secrets(session.rng.as_ref())?;
        let runtime = runtime()?;
        let stop = CancellationToken::new();
        watch_signals(&runtime, stop.clone())?;
        let result = self.with_postgres(&runtime, &stop, &place, &secrets, session);
        runtime.shutdown_timeout(END);
        result
    }

    fn with_postgres(
        &self,
        runtime: &Runtime,
        stop: &CancellationToken,
        place: &Place,
        secrets: &Secrets,
        session: &mut Session<'_>,
    ) -> Result<Exit, Failure> {
        session.terminal.note("starting PostgreSQL …");
        let started = runtime.block_on(unless(stop, start_postgres(place)));
        let Some(postgres) = started else { return Ok(Exit::Ok) };
        let postgres = postgres?;
        let result = self.with_node(runtime, stop, place, secrets, &postgres.dsn(DATABASE), session);
        session.terminal.note("stopping PostgreSQL …");
        postgres.stop();
        result
    }

    fn with_node(
        &self,
        runtime: &Runtime,
        stop: &CancellationToken,
        place: &Place,
        secrets: &Secrets,
        dsn: &str,
        session: &mut Session<'_>,
    ) -> Result<Exit, Failure> {
        let settings = self.settings(place, dsn);
        place.write_env(secrets, &clients_variables(&settings, self.port))?;
        let config = load(session, &settings, secrets)?;
        let migrated = runtime.block_on(unless(stop, migrated(&config)));
        let Some(migrated) = migrated else { return Ok(Exit::Ok) };
        migrated?;

        session.terminal.note("starting the node …");
        let node = Node::start(config.clone(), stop.clone())?;
        let guided = runtime.block_on(async {
            tokio::select! {
                // Its own end is told by the node.
                () = node.ended.cancelled() => Ok(()),
                guided = self.guide(&config, place, secrets, session) => guided,
            }
        });
        if guided.is_err() {
            stop.cancel();
        }
        node.join()?;
        guided.map(|()| Exit::Ok)
    }

    /// The settings that are this command's to decide.
    fn settings(&self, place: &Place, dsn: &str) -> Vec<(&'static str, String)> {
        vec![
            ("CLUSTER_MODE", "off".to_owned()),
            ("SERVER_ADDR", format!("127.0.0.1:{}", self.port)),
            ("SERVER_PUBLIC_URL", self.url()),
            ("JWT_ISSUER", self.url()),
            ("CONTROL_PLANE_FS_ROOT", place.node.display().to_string()),
            ("STORAGE_DSN", dsn.to_owned()),
        ]
    }

    fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits until the node serves people, seeds it, and tells what there is.
    async fn guide(
        &self,
        config: &Config,
        place: &Place,
        secrets: &Secrets,
        session: &mut Session<'_>,
    ) -> Result<(), Failure> {
        let base = BaseUrl::parse(&format!("http://127.0.0.1:{}", self.port))
            .map_err(|invalid| Failure::failed(invalid.reason))?;
        let hosts = AllowedHosts::new(base.clone(), Vec::new());
        let api = Api::new(base, hosts, Patience::default(), Arc::clone(&session.rng))?;
        ready(&api).await?;
        let token = written_token(config, session).await?;
        let report = sow(config, &api.with_bearer(&token)?, secrets, session).await?;
        for note in &report.notes {
            session.terminal.note(note);
        }
        let guide = Guide { url: &self.url(), place, secrets };
        session.terminal.show(&guide.to_json(), || guide.to_text())
    }
}

/// The first signal, whatever is going on, is the wish for the orderly end. The node hears later ones itself.
fn watch_signals(runtime: &Runtime, stop: CancellationToken) -> Result<(), Failure> {
    let _entered = runtime.enter();
    let handler =
        |kind| signal(kind).map_err(|error| Failure::failed(format!("signals cannot be handled: {error}")));
    let (mut terminate, mut interrupt): (Signal, Signal) =
        (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    // Ends with the runtime, which the caller shuts down.
    drop(runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    }));
    Ok(())
}

/// The outcome of `work`, or `None` when the end is wished for before.
async fn unless<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop.cancelled() => None,
        outcome = work => Some(outcome),
    }
}

async fn start_postgres(place: &Place) -> Result<PrivatePostgres, Failure> {
    let failed = |error: crate::boot::private_postgres::PrivatePostgresError| {
        Failure::failed(error.to_string()).while_doing("the private PostgreSQL does not run")
    };
    let options = PrivatePostgresOptions::kept(place.postgres.clone());
    let postgres = PrivatePostgres::start(options).await.map_err(failed)?;
    postgres.ensure_database(DATABASE, None).await.map_err(failed)?;
    Ok(postgres)
}

async fn migrated(config: &Config) -> Result<usize, Failure> {
    let pools = migrate::global_pool(config)?;
    let ran = migrate::run(&pools).await;
    pools.close(END).await;
    ran
}

/// What the file `env` has beside the secrets: enough for every other command.
fn clients_variables(settings: &[(&'static str, String)], port: u16) -> Vec<(&'static str, String)> {
    let mut variables = settings.to_vec();
    variables.push(("HELLOJOHN_ADMIN_URL", format!("http://127.0.0.1:{port}")));
    variables.push(("HELLOJOHN_EMAIL", guide::EMAIL.to_owned()));
    variables
}

/// The configuration: the named files, the environment without what is not its business here, our own settings,
/// and --set over all.
fn load(
    session: &mut Session<'_>,
    settings: &[(&'static str, String)],
    secrets: &Secrets,
) -> Result<Config, Failure> {
    let mut env = session.env.clone();
    for name in ours() {
        env.remove(name);
    }
    // Without a mail server the log is where a developer finds the links.
    let quiet: BTreeMap<String, String> =
        [("LOG_FORMAT", "text"), ("LOG_LEVEL", "warn"), ("EMAIL_DEBUG_LINKS", "1")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into();
    env = quiet.into_iter().chain(env).collect();
    env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    env.insert("SIGNING_MASTER_KEY".to_owned(), secrets.signing.expose().to_owned());
    env.insert("SECRETBOX_MASTER_KEY".to_owned(), secrets.secretbox.expose().to_owned());
    env.insert(config::gather::DISABLE_DOTENV.to_owned(), "1".to_owned());
    let options = Options { env_only: session.options.config.is_none(), ..session.options.clone() };
    let loaded = config::load(&config::gather(options, env, &session.directory)?)?;
    for warning in &loaded.warnings {
        // The first is short on purpose of the product's default, and nobody but this machine is concerned; what no server takes
        // is in the log.
        if !matches!(warning.key, Some("control_plane.key_rotation_grace_seconds" | "smtp.host")) {
            session.terminal.note(&format!("warning: {warning}"));
        }
    }
    if loaded.config.cluster.is_embedded() {
        return Err(Failure::usage("dev runs a single node").remedy("leave cluster.mode out of --set"));
    }
    Ok(loaded.config)
}

/// Variables that have no say here.
fn ours() -> impl Iterator<Item = &'static str> {
    const SECTIONS: [&str; 3] = ["cluster", "keys", "server"];
    const KEYS: [&str; 3] = ["jwt.issuer", "storage.dsn", "control_plane.fs_root"];
    table::all()
        .filter(|setting| SECTIONS.contains(&setting.section()) || KEYS.contains(&setting.key))
        .flat_map(|setting| setting.env.iter().copied())
}

async fn ready(api: &Api) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + READY;
    let mut last = "it does not listen".to_owned();
    while tokio::time::Instant::now() < deadline {
        match api.look("/readyz").await {
            Ok((200, _)) => return Ok(()),
            Ok((_, body)) => last = super::terminal::cell(&body, "/failing/0/detail"),
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::new(Exit::Unavailable, format!("the node is not ready after {} s", READY.as_secs()))
        .because(last))
}

/// A token, as soon as the node has written its keys: the files follow the state by a moment.
async fn written_token(config: &Config, session: &Session<'_>) -> Result<SecretString, Failure> {
    let deadline = tokio::time::Instant::now() + READY;
    loop {
        match seed::own_token(config, session.clock.as_ref(), session.rng.as_ref()) {
            Err(failure) if failure.exit == Exit::Failed && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

async fn sow(
    config: &Config,
    api: &Api,
    secrets: &Secrets,
    session: &Session<'_>,
) -> Result<Report, Failure> {
    let sower = Sower {
        config,
        api,
        clock: Arc::clone(&session.clock),
        rng: Arc::clone(&session.rng),
        admin_password: Some(secrets.password.clone()),
    };
    sower.sow(&seed::parse("the default seed", seed::EXAMPLE)?).await
}

/// The node on a thread of its own, because it makes its own runtimes.
struct Node {
    thread: std::thread::JoinHandle<Result<(), BootError>>,
    /// Cancelled when the thread is about to end.
    ended: CancellationToken,
}

impl Node {
    fn start(config: Config, stop: CancellationToken) -> Result<Self, Failure> {
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let thread = std::thread::Builder::new().name("node".to_owned()).spawn(move || {
            // Also when it panics.
            let _ended = guard;
            boot::run_until(config, stop)
        });
        let thread =
            thread.map_err(|error| Failure::failed(format!("threads cannot be started: {error}")))?;
        Ok(Self { thread, ended })
    }

    fn join(self) -> Result<(), Failure> {
        match self.thread.join() {
            Ok(result) => result.map_err(|error| serve::failed(&error)),
            Err(_) => {
                Err(Failure::failed("the node panicked").remedy("report this as a fault of the program"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_keys_and_listener_are_this_commands_business() {
        let ours: Vec<&str> = ours().collect();
        for name in [
            "CLUSTER_MODE",
            "NODE_ID",
            "RAFT_ADDR",
            "STORAGE_DSN",
            "DATABASE_URL",
            "SIGNING_MASTER_KEY",
            "SERVER_TLS_CERT_FILE",
            "JWT_ISSUER",
            "CONTROL_PLANE_FS_ROOT",
        ] {
            assert!(ours.contains(&name), "{name}");
        }
        for name in ["JWT_ACCESS_TTL", "LOG_LEVEL", "ARGON2_MEMORY_KIB", "REGISTER_AUTO_LOGIN"] {
            assert!(!ours.contains(&name), "{name}");
        }
    }
}
