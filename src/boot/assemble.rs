//! Puts the parts of a node together, bottom up: keys, control plane, databases, services, edge.
//!
//! Owns who gets what. Starts the control plane and nothing else: listeners, jobs and the end of the process are
//! [`super::run`]'s business, so that a test can have a whole node without a process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hellojohn_raft::Node;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::origins::Origins;
use super::{BootError, forwarding, raft};
use crate::cluster::{ControlPlane, Sealing};
use crate::config::Config;
use crate::config::cluster::WriteMode;
use crate::crypto::hash_pool::{HashPool, PoolLimits};
use crate::crypto::password::HashParams;
use crate::crypto::sealed::Sealer;
use crate::crypto::signer::KeyOpener;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::password_policy::{Blacklist, BlacklistError};
use crate::domain::rng::{OsRng, Rng};
use crate::http::cookies::CookieRules;
use crate::http::health::{HealthState, state::HealthParts};
use crate::http::middleware::cors::OriginList;
use crate::http::openapi::Document;
use crate::http::state::{AppState, Parts};
use crate::http::{Edge, EdgeParts, EdgeSettings};
use crate::mail::{Smtp, Templates};
use crate::service::account::{AccountParts, AccountService, AccountSettings};
use crate::service::authenticate::{AdminPolicy, Authenticator};
use crate::service::control::{ControlService, Defaults};
use crate::service::health::{HealthService, Schema};
use crate::service::limits::Limits;
use crate::service::mail::{Delivery, DeliveryParts, MailSettings, Mails};
use crate::service::oauth::{OAuthParts, OAuthService, OAuthSettings};
use crate::service::tokens::{Lifetimes, TokenIssuer};
use crate::service::user_store::UserStores;
use crate::store::pools::PoolSettings;
use crate::store::{Dsn, Pools};

/// How long databases get to finish at the end.
const CLOSE: Duration = Duration::from_secs(5);

/// What a node needs of the process that it lives in.
#[derive(Clone)]
pub struct Process {
    /// The runtime of the control plane, apart from the product's, so that a busy product delays no heartbeat.
    pub raft: Handle,
    /// The metrics of the process.
    pub metrics: PrometheusHandle,
    /// The soft stop of the process.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("stop", &self.stop).finish_non_exhaustive()
    }
}

/// A node, ready to serve.
#[derive(Debug)]
pub struct Assembled {
    /// What the handlers reach.
    pub state: AppState,
    /// The conventions around them.
    pub edge: Edge,
    /// The control plane.
    pub plane: ControlPlane,
    /// The origins of clients, to be refreshed when the view changes.
    pub origins: Arc<Origins>,
    /// The rate limits, whose connection to Redis wants tending.
    pub limits: Limits,
    /// What the start-up task finds out about the global schema.
    pub schema: Arc<Schema>,
    /// Writes mails.
    pub mails: Mails,
    /// Sends them.
    pub delivery: Delivery,
    node: Node,
    raft: Handle,
    hashes: Arc<HashPool>,
}

/// Builds a node from its configuration and starts its control plane.
///
/// # Errors
/// See [`BootError`].
pub async fn assemble(config: Arc<Config>, process: &Process) -> Result<Assembled, BootError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rng: Arc<dyn Rng> = Arc::new(OsRng);
    let blacklist = blacklist(config.password.blacklist_path.as_deref()).await?;
    let templates = templates(&config).await?;
    let ca = config.smtp.ca_file.as_ref().map(|pem| pem.text.expose());
    let smtp = Smtp::new(ca).map_err(BootError::MailAuthorities)?;
    let hashes = hash_pool(&config, Arc::clone(&rng)).await?;
    let pools = Arc::new(pools(&config)?);
    let (signing, secretbox) = sealers(&config)?;

    let settings = raft::settings(&config, &signing, &secretbox, Arc::clone(&clock)).await?;
    let node = process.raft.spawn(Node::start(settings)).await??;
    let plane = ControlPlane::new(node.clone(), Arc::clone(&clock));

    let admin_tenants: Arc<[_]> = config.admin.tenants.clone().into();
    let sealing = Sealing::new(Arc::clone(&signing), Arc::clone(&secretbox), Arc::clone(&rng));
    let mails = Mails::new(MailSettings::new(&config), sealing.clone(), Arc::clone(&rng));
    let defaults = Defaults {
        grace_seconds: seconds(config.control_plane.key_rotation_grace_seconds),
        retry_after: config.cluster.timers.election_max.max(Duration::from_secs(1)),
        admin_tenants: Arc::clone(&admin_tenants),
        keep_events: config.audit.keep_events(),
    };
    let control = ControlService::new(plane.clone(), sealing.clone(), defaults);
    let stores = UserStores::new(plane.clone(), Arc::clone(&pools), sealing);
    let keys = Arc::new(KeyOpener::new(signing));
    let lifetimes = Lifetimes { access: config.jwt.access_ttl, refresh: config.jwt.refresh_ttl };
    let policy = AdminPolicy {
        enforce: config.admin.enforce,
        subs: config.admin.subs.iter().cloned().collect(),
        tenants: Arc::clone(&admin_tenants),
    };
    let limits = Limits::new(&config, Arc::clone(&clock))?;
    // Now, so that the first requests are counted with those of the other nodes; a Redis that is down comes later.
    limits.tend().await;
    let authenticator = Authenticator::new(plane.clone(), stores.clone(), Arc::clone(&clock), policy);
    let tokens = TokenIssuer::new(Arc::clone(&keys), Arc::clone(&rng), lifetimes, admin_tenants);
    let tokens = Arc::new(tokens);
    let accounts = AccountService::new(AccountParts {
        plane: plane.clone(),
        stores: stores.clone(),
        hashes: Arc::clone(&hashes),
        tokens: Arc::clone(&tokens),
        sealer: secretbox,
        mails: mails.clone(),
        authenticator: authenticator.clone(),
        limits: limits.clone(),
        settings: AccountSettings::new(&config, blacklist),
        clock: Arc::clone(&clock),
        rng: Arc::clone(&rng),
    });
    let oauth = OAuthService::new(OAuthParts {
        plane: plane.clone(),
        stores: stores.clone(),
        accounts: accounts.clone(),
        authenticator: authenticator.clone(),
        tokens,
        settings: OAuthSettings::new(&config),
        begun: OAuthService::marker(config.keys.secretbox_master_key.expose())?,
        clock: Arc::clone(&clock),
        rng: Arc::clone(&rng),
    });

    let delivery = Delivery::new(DeliveryParts {
        mails: mails.clone(),
        plane: plane.clone(),
        stores: stores.clone(),
        templates,
        smtp,
        clock: Arc::clone(&clock),
        rng: Arc::clone(&rng),
    });

    let schema = Arc::new(Schema::default());
    let health = HealthState::new(HealthParts {
        health: HealthService::new(plane.clone(), pools, keys, limits.clone(), Arc::clone(&schema)),
        leader_redirects: redirects(&config).collect(),
        metrics: process.metrics.clone(),
        metrics_elsewhere: config.observability.metrics_addr.is_some(),
        dev_shutdown: config.flags.allow_dev_shutdown.then(|| process.stop.clone()),
    });
    let allowed = config.server.cors_allowed_origins.iter().cloned().collect();
    let origins = Arc::new(Origins::new(OriginList { allowed, ui: config.server.ui_public_origin.clone() }));
    let edge = Edge::new(EdgeParts {
        settings: EdgeSettings::from_config(&config),
        gate: Arc::new(control.clone()),
        admins: Arc::new(authenticator.clone()),
        users: Arc::new(authenticator),
        origins: Arc::clone(&origins) as Arc<_>,
        forwarder: forwarding::outbound(config.cluster.write_mode == WriteMode::Forward, &plane),
        limits: limits.clone(),
        rng: Arc::clone(&rng),
    });
    let openapi = Document::new(config.server.public_url.as_str())?;
    let cookies = CookieRules::from_config(&config);
    let state = AppState::from(Parts {
        control,
        accounts,
        oauth,
        stores,
        settings: config,
        cookies,
        health,
        openapi,
        clock,
        rng,
    });
    Ok(Assembled {
        state,
        edge,
        plane,
        origins,
        limits,
        schema,
        mails,
        delivery,
        node,
        raft: process.raft.clone(),
        hashes,
    })
}

impl Assembled {
    /// Stops everything in order: hashing, databases, the control plane. Every step is bounded.
    pub async fn shutdown(self) {
        self.hashes.shutdown().await;
        self.state.stores.pools().close(CLOSE).await;
        let node = self.node;
        if let Err(error) = self.raft.spawn(async move { node.shutdown().await }).await {
            tracing::error!(%error, "the control plane did not stop cleanly");
        }
    }
}

async fn blacklist(path: Option<&Path>) -> Result<Blacklist, BootError> {
    let Some(path) = path else { return Ok(Blacklist::default()) };
    let failed =
        |error: std::io::Error| BootError::Blacklist { path: path.to_owned(), reason: error.to_string() };
    let length = tokio::fs::metadata(path).await.map_err(failed)?.len();
    if usize::try_from(length).map_or(true, |length| length > Blacklist::MAX_BYTES) {
        return Err(BootError::blacklist(path.to_owned(), &BlacklistError::TooLarge));
    }
    let file = tokio::fs::read(path).await.map_err(failed)?;
    Blacklist::parse(&file).map_err(|error| BootError::blacklist(path.to_owned(), &error))
}

/// Reads files, which is no work for a thread that serves.
async fn templates(config: &Config) -> Result<Templates, BootError> {
    let directory = config.email.templates_dir.clone();
    Ok(tokio::task::spawn_blocking(move || Templates::load(directory.as_deref())).await??)
}

async fn hash_pool(config: &Config, rng: Arc<dyn Rng>) -> Result<Arc<HashPool>, BootError> {
    let argon2 = &config.argon2;
    let params = HashParams::new(argon2.memory_kib, argon2.iterations, argon2.parallelism)?;
    // Computes a hash, which is no work for a thread that serves.
    let started =
        tokio::task::spawn_blocking(move || HashPool::start(params, PoolLimits::default(), rng)).await?;
    Ok(Arc::new(started?))
}

fn pools(config: &Config) -> Result<Pools, BootError> {
    let storage = &config.storage;
    let settings = PoolSettings {
        max_open: storage.max_open_conns,
        max_idle: storage.max_idle_conns,
        max_lifetime: Some(storage.conn_max_lifetime),
        ..PoolSettings::default()
    };
    let global = storage.dsn.as_ref().map(|dsn| Dsn::parse(dsn.expose())).transpose()?;
    Ok(Pools::new(settings, global.as_ref()))
}

fn sealers(config: &Config) -> Result<(Arc<Sealer>, Arc<Sealer>), BootError> {
    let signing = Sealer::signing(config.keys.signing_master_key.expose())?;
    let base64 = Zeroizing::new(STANDARD.encode(config.keys.secretbox_master_key.expose()));
    Ok((Arc::new(signing), Arc::new(Sealer::secretbox(&base64)?)))
}

/// Where a caller may be sent for each node; the allow-list is applied here.
fn redirects(config: &Config) -> impl Iterator<Item = (String, String)> {
    config.cluster.embedded.iter().flat_map(|embedded| {
        let mapped = embedded.leader_redirects.keys();
        mapped.filter_map(|id| embedded.redirect_to(id).map(|url| (id.to_string(), url.to_string())))
    })
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
