//! `hellojohn seed [FILE]`: makes tenants, clients and people that are missing (spec §9, §13.13).
//!
//! Owns the order: everything is checked first, then the control plane is written through the leader's API, then
//! people go into PostgreSQL. Must never change what exists: running it twice is running it once.

mod catalogue;
mod file;
mod people;
mod report;

pub use file::{SeedFile, parse};
pub use people::generate_password;
pub use report::Report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::admin::mint;
use super::api::Api;
use super::connection::Connection;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::{document, migrate};
use crate::config::Config;
use crate::crypto::password::{HashParams, Hasher};
use crate::crypto::secret::SecretString;
use crate::domain::clock::Clock;
use crate::domain::password_policy::Blacklist;
use crate::domain::rng::Rng;
use crate::service::account::AccountSettings;
use crate::store::{Database, Dsn, PoolSettings, Pools};
use people::Means;

/// The default seed.
pub(super) const EXAMPLE: &str = include_str!("../../../configs/seed.example.yaml");
/// Where the default seed is looked for.
const DEFAULT_FILE: &str = "configs/seed.example.yaml";
/// Life of the token that a seeding makes for itself.
const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);
/// How long the end of the connections may take.
const CLOSE: Duration = Duration::from_secs(5);

/// Make the tenants, clients and people of a file that are missing
///
/// What exists is kept as it is, so it may run again at any time. Tenants, scopes and clients go through the
/// HTTP API of the leader, people straight into PostgreSQL (STORAGE_DSN). Run it on the host of a node, with the
/// node's options: without a bearer token it makes a break-glass token for itself with SIGNING_MASTER_KEY.
///
/// The default file makes tenant local, client local-web and the administrator admin@example.com, whose password
/// is that of HELLOJOHN_PASSWORD, else a generated one that is shown once.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn seed
  HELLOJOHN_PASSWORD='correct horse battery staple' hellojohn --env-file .local/env seed
  hellojohn seed tenants.yaml --url http://localhost:8081 --output json")]
pub struct Seed {
    /// Seed file; configs/seed.example.yaml without it
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Seed {
    /// Runs the command.
    ///
    /// # Errors
    /// When the file, the server or the database refuses.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let seed = read(self.file.as_deref(), &session.directory)?;
        let config = session.config()?.config;
        let variables = session.variables()?;
        let token = match self.connection.token(&variables) {
            Some(token) => token,
            None => own_token(&config, session.clock.as_ref(), session.rng.as_ref())?,
        };
        let api = self.connection.anonymous(session, &variables)?.with_bearer(&token)?;
        let sower = Sower {
            config: &config,
            api: &api,
            clock: Arc::clone(&session.clock),
            rng: Arc::clone(&session.rng),
            admin_password: variables.get("HELLOJOHN_PASSWORD").map(SecretString::from),
        };
        let report = sower.sow(&seed).await?;
        session.terminal.show(&report.to_json(), || report.to_text())?;
        Ok(Exit::Ok)
    }
}

/// A break-glass token for a seeding on the host of a node.
///
/// # Errors
/// When there is no key on this host.
pub(super) fn own_token(config: &Config, clock: &dyn Clock, rng: &dyn Rng) -> Result<SecretString, Failure> {
    mint(config, "seed", TOKEN_LIFE, clock, rng)
}

fn read(file: Option<&Path>, directory: &Path) -> Result<SeedFile, Failure> {
    let default = directory.join(DEFAULT_FILE);
    match file {
        Some(path) => parse(&path.display().to_string(), &document::text(path)?),
        None if default.is_file() => parse(DEFAULT_FILE, &document::text(&default)?),
        None => parse("the default seed", EXAMPLE),
    }
}

/// Everything that a seeding needs.
#[derive(Debug)]
pub struct Sower<'a> {
    /// The configuration of the node on this host.
    pub config: &'a Config,
    /// The administration API, with credentials.
    pub api: &'a Api,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Password of the first administrator that has none in the file.
    pub admin_password: Option<SecretString>,
}

impl Sower<'_> {
    /// Makes what is missing.
    ///
    /// # Errors
    /// When the server or a database refuses; what was made before stays, and the next run goes on from there.
    pub async fn sow(self, seed: &SeedFile) -> Result<Report, Failure> {
        let mut report = Report::default();
        let global = if seed.tenants.iter().any(|tenant| !tenant.users.is_empty() && tenant.dsn().is_none()) {
            let pools = migrate::global_pool(self.config)?;
            people::check_schema(migrate::global(&pools)?, "run 'hellojohn migrate'").await?;
            Some(pools)
        } else {
            None
        };
        let result = self.sow_into(seed, global.as_ref(), &mut report).await;
        if let Some(pools) = global {
            pools.close(CLOSE).await;
        }
        result.map(|()| report)
    }

    async fn sow_into(
        self,
        seed: &SeedFile,
        global: Option<&Pools>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let mut own_database = Vec::new();
        for tenant in &seed.tenants {
            own_database.push(catalogue::sow(self.api, tenant, report).await?);
        }
        let mut means = if seed.tenants.iter().any(|tenant| !tenant.users.is_empty()) {
            self.means().await?
        } else {
            return Ok(());
        };
        for (tenant, own_database) in seed.tenants.iter().zip(own_database) {
            if tenant.users.is_empty() {
                continue;
            }
            let admins = tenant.users.iter().any(|user| user.sys_admin);
            if admins && !self.config.admin.tenants.contains(&tenant.slug) {
                report.notes.push(format!(
                    "sys_admin has no effect in tenant {}: ADMIN_TENANTS does not list it",
                    tenant.slug
                ));
            }
            let own = match (tenant.dsn(), own_database) {
                (Some(dsn), _) => Some(own_pool(dsn)?),
                (None, false) => None,
                (None, true) => {
                    return Err(Failure::usage(format!(
                        "tenant {} has a user database of its own, and the file does not say which",
                        tenant.slug
                    ))
                    .remedy("give settings.userStore.dsn in the file, or leave its users out"));
                }
            };
            let result = match own.as_ref().or(global) {
                Some(pools) => {
                    let database = migrate::global(pools)?;
                    if own.is_some() {
                        let remedy = format!("POST /v1/admin/tenants/{}/user-store/migrate", tenant.slug);
                        people::check_schema(database, &remedy).await?;
                    }
                    sow_people(database, tenant, &mut means, report).await
                }
                None => Ok(()),
            };
            if let Some(pools) = own {
                pools.close(CLOSE).await;
            }
            result?;
        }
        Ok(())
    }

    async fn means(&self) -> Result<Means, Failure> {
        let argon2 = &self.config.argon2;
        let params = HashParams::new(argon2.memory_kib, argon2.iterations, argon2.parallelism)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let rng = Arc::clone(&self.rng);
        let hasher = tokio::task::spawn_blocking(move || Hasher::new(params, rng.as_ref()))
            .await
            .map_err(|error| Failure::failed(error.to_string()))?
            .map_err(|error| Failure::failed(error.to_string()))?;
        let blacklist = blacklist(self.config.password.blacklist_path.as_deref())?;
        let policy = AccountSettings::new(self.config, Blacklist::default()).password_policy;
        Ok(Means {
            hasher: Arc::new(hasher),
            policy,
            blacklist,
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
            admin_password: self.admin_password.clone(),
        })
    }
}

async fn sow_people(
    database: &Database,
    tenant: &file::SeedTenant,
    means: &mut Means,
    report: &mut Report,
) -> Result<(), Failure> {
    for user in &tenant.users {
        people::sow(database, &tenant.slug, user, means, report).await?;
    }
    Ok(())
}

/// A pool on the own database of a tenant.
fn own_pool(dsn: &str) -> Result<Pools, Failure> {
    let dsn = Dsn::parse(dsn).map_err(|error| {
        Failure::usage("settings.userStore.dsn cannot be used").because(error.to_string())
    })?;
    Ok(Pools::new(PoolSettings::default(), Some(&dsn)))
}

fn blacklist(path: Option<&Path>) -> Result<Blacklist, Failure> {
    let Some(path) = path else { return Ok(Blacklist::default()) };
    let refused =
        |reason: String| Failure::usage("SECURITY_PASSWORD_BLACKLIST_PATH cannot be used").because(reason);
    let length = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if usize::try_from(length).map_or(true, |length| length > Blacklist::MAX_BYTES) {
        return Err(refused(format!("it is larger than {} bytes", Blacklist::MAX_BYTES)));
    }
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    Blacklist::parse(&bytes).map_err(|error| refused(error.to_string()))
}
