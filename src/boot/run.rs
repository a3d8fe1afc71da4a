//! The life of the process that `hellojohn serve` is: open the ports, assemble the node, serve, stop in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::assemble::{Assembled, Process, assemble};
use super::certificates::Certificates;
use super::forwarding::Answering;
use super::lifecycle::{Exit, Lifecycle};
use super::listeners::{Limits, Listener, ListenerSettings};
use super::tls::ServerTls;
use super::{BootError, certificates, schema, surface, telemetry};
use crate::cluster::HandOverError;
use crate::config::Config;
use crate::http::forward::Inbound;
use crate::http::health::metrics_surface;
use crate::jobs::{self, Timer};
use crate::service::control::AuditCopy;

/// Threads of the control plane. Log, snapshots and files have threads of their own to block, so one is enough,
/// and its tasks need not wake each other across processors.
const RAFT_THREADS: usize = 1;
/// Scheduling priority (nice) of the control plane's threads.
const RAFT_NICE: i32 = -10;
/// How long threads that are still busy get at the very end.
const THREADS_END: Duration = Duration::from_secs(5);
/// How long the hand-over of the leadership may hold up the end of the process.
const HAND_OVER: Duration = Duration::from_secs(4);
/// How often the recorder folds what was recorded into its histograms.
const METRICS_EVERY: Duration = Duration::from_secs(5);
/// Upper bounds of the histograms of durations, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Serves until a signal, a fatal fault or a failed task; returns when everything has stopped.
///
/// # Errors
/// Why the node could not start, or what ended it other than a signal. See [`BootError`].
pub fn run(config: Config) -> Result<(), BootError> {
    run_until(config, CancellationToken::new())
}

/// As [`run`], and ends when `stop` is cancelled too; for an owner that has more to stop than the node.
///
/// # Errors
/// As [`run`].
pub fn run_until(config: Config, stop: CancellationToken) -> Result<(), BootError> {
    if let Err(error) = telemetry::init(&config.observability) {
        tracing::warn!(%error, "logging goes on as it was");
    }
    // Somebody else may have installed a provider; ours is named wherever it matters.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let metrics = recorder()?;
    let product = runtime(Builder::new_multi_thread().thread_name("hellojohn"))?;
    let raft = runtime(
        Builder::new_multi_thread()
            .thread_name("raft")
            .worker_threads(RAFT_THREADS)
            .on_thread_start(prefer_this_thread),
    )?;
    let raft_handle = raft.handle().clone();
    let result = product.block_on(async move {
        let life = Lifecycle::new(config.http.shutdown_grace);
        let process = Process { raft: raft_handle, metrics, stop: life.shutdown().soft.clone() };
        let soft = process.stop.clone();
        life.spawn("owner", async move {
            tokio::select! {
                () = stop.cancelled() => soft.cancel(),
                () = soft.cancelled() => {}
            }
            Ok::<(), Infallible>(())
        });
        serve(Arc::new(config), process, life).await
    });
    // Here no runtime is entered, so both may be waited for and dropped.
    raft.shutdown_timeout(THREADS_END);
    product.shutdown_timeout(THREADS_END);
    result
}

/// Lets heartbeats and syncs go first on a busy machine, so that load alone never costs a leader its office.
/// Threads made by this one inherit it. Without the right to do so (CAP_SYS_NICE) everything works as before.
fn prefer_this_thread() {
    if let Err(error) = rustix::process::setpriority_process(None, RAFT_NICE) {
        tracing::debug!(%error, "the control plane runs at normal priority");
    }
}

fn runtime(builder: &mut Builder) -> Result<Runtime, BootError> {
    builder.enable_all().build().map_err(BootError::Runtime)
}

fn recorder() -> Result<PrometheusHandle, BootError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| BootError::Metrics(error.to_string()))
}

async fn serve(config: Arc<Config>, process: Process, life: Lifecycle) -> Result<(), BootError> {
    // Ports first: one that is in use is known before the disk is touched.
    let tls = match config.server.tls() {
        Some((cert, key)) => Some(ServerTls::new(&cert.text, &key.text)?),
        None => None,
    };
    let public = Listener::bind(public_listener(&config, tls.as_ref())).await?;
    let metrics = match metrics_listener(&config) {
        Some(settings) => Some(Listener::bind(settings).await?),
        None => None,
    };
    let assembled = assemble(Arc::clone(&config), &process).await?;
    let started = start(&config, &process, &life, &assembled, public, metrics);
    let certificates = Certificates::new(&config, assembled.plane.clone(), tls);
    watch_certificates(&process, &life, &assembled, certificates);
    let exit = match started {
        Ok(()) => life.run().await.map_err(BootError::Signals),
        Err(error) => Err(error),
    };
    assembled.shutdown().await;
    tracing::info!("stopped");
    match exit? {
        Exit::Clean => Ok(()),
        Exit::Failed(why) => Err(BootError::Failed(why)),
        Exit::Forced(tasks) => Err(BootError::Forced(tasks)),
    }
}

/// Spawns everything that runs until the end of the process.
fn start(
    config: &Config,
    process: &Process,
    life: &Lifecycle,
    assembled: &Assembled,
    public: Listener,
    metrics: Option<Listener>,
) -> Result<(), BootError> {
    let router = surface().into_router(&assembled.edge, assembled.state.clone())?;
    let inbound = Inbound::new(router.clone());
    let answering = Arc::new(Answering { inbound, product: Handle::current() });
    listen(life, "http", public, router);
    if let Some(listener) = metrics {
        let router = metrics_surface().into_router(&assembled.edge, assembled.state.health.clone())?;
        listen(life, "metrics", listener, router);
    }
    assembled.plane.serve_forwarded(answering);
    let plane = assembled.plane.clone();
    let stop = process.stop.clone();
    life.spawn("control plane", async move {
        tokio::select! {
            () = stop.cancelled() => {
                // Whoever goes in order leaves no gap for others to notice. A follower, and the last node, has nothing to
                // hand over.
                match tokio::time::timeout(HAND_OVER, plane.hand_over(None)).await {
                    Ok(Ok(_) | Err(HandOverError::NotLeader(_))) => {}
                    Ok(Err(HandOverError::NoSuccessor(why))) => tracing::info!(why, "nobody takes the leadership over"),
                    Ok(Err(error)) => tracing::warn!(%error, "the leadership was not handed over"),
                    Err(_elapsed) => tracing::warn!("the leadership was not handed over in time"),
                }
                Ok(())
            }
            why = plane.failed() => Err(why),
        }
    });
    if let Some(database) = assembled.state.stores.pools().global() {
        let (database, schema) = (database.clone(), Arc::clone(&assembled.schema));
        let (migrate, stop) = (config.flags.migrate, process.stop.clone());
        life.spawn("schema", schema::tend(database, migrate, schema, stop));
    }
    start_jobs(process, life, assembled);
    Ok(())
}

fn listen(life: &Lifecycle, name: &'static str, listener: Listener, router: Router) {
    if let Ok(addr) = listener.local_addr() {
        tracing::info!(name, %addr, "listening");
    }
    let shutdown = life.shutdown().clone();
    life.spawn(name, async move {
        listener.serve(router, shutdown).await;
        Ok::<(), Infallible>(())
    });
}

fn start_jobs(process: &Process, life: &Lifecycle, assembled: &Assembled) {
    let state = &assembled.state;
    let timer = |name: &'static str, every: Duration, limit: Duration| Timer {
        name,
        every,
        limit,
        views: None,
        wake: None,
        stop: process.stop.clone(),
        rng: Arc::clone(&state.rng),
    };
    let on_view = |timer: Timer| Timer { views: Some(assembled.plane.views()), ..timer };

    let job =
        jobs::keys::run(on_view(timer("keys", jobs::keys::EVERY, jobs::keys::LIMIT)), state.control.clone());
    spawn(life, "job keys", job);
    if state.stores.pools().global().is_some() {
        let audit = on_view(timer("audit", jobs::audit::EVERY, jobs::audit::LIMIT));
        let copy = AuditCopy::new(assembled.plane.clone(), state.stores.clone());
        spawn(life, "job audit", jobs::audit::run(audit, copy));
    }
    let cleanup = timer("cleanup", jobs::cleanup::EVERY, jobs::cleanup::LIMIT);
    spawn(life, "job cleanup", jobs::cleanup::run(cleanup, state.control.clone(), state.stores.clone()));
    let sweep = timer("sweep", jobs::sweep::GLOBAL_EVERY, jobs::sweep::GLOBAL_LIMIT);
    spawn(life, "job sweep", jobs::sweep::run_global(sweep, state.control.clone(), state.stores.clone()));
    let sweep = timer("sweep used", jobs::sweep::GLOBAL_EVERY, jobs::sweep::USED_LIMIT);
    spawn(life, "job sweep used", jobs::sweep::run_used(sweep, state.control.clone(), state.stores.clone()));
    let sweep = timer("sweep tenants", jobs::sweep::TENANTS_EVERY, jobs::sweep::TENANTS_LIMIT);
    let job = jobs::sweep::run_tenants(sweep, state.control.clone(), state.stores.clone());
    spawn(life, "job sweep tenants", job);
    if assembled.limits.redis_is_up().is_some() {
        let limits = timer("limits", jobs::limits::EVERY, jobs::limits::LIMIT);
        spawn(life, "job limits", jobs::limits::run(limits, assembled.limits.clone()));
    }
    let mail = timer("mail", jobs::mail::EVERY, jobs::mail::LIMIT);
    let mail = Timer { wake: Some(assembled.mails.wake()), ..mail };
    spawn(life, "job mail", jobs::mail::run(mail, assembled.delivery.clone()));
    let everywhere = timer("mail everywhere", jobs::mail::EVERYWHERE_EVERY, jobs::mail::LIMIT);
    spawn(life, "job mail everywhere", jobs::mail::run_everywhere(everywhere, assembled.delivery.clone()));
    let view = on_view(timer("view", jobs::view::EVERY, jobs::view::LIMIT));
    let origins = Arc::clone(&assembled.origins);
    let job = jobs::view::run(
        view,
        assembled.plane.clone(),
        state.accounts.clone(),
        state.stores.clone(),
        move |view| origins.refresh(view),
    );
    spawn(life, "job view", job);
    let metrics = process.metrics.clone();
    let upkeep = timer("metrics", METRICS_EVERY, METRICS_EVERY);
    spawn(life, "job metrics", async move {
        upkeep
            .run(|| {
                metrics.run_upkeep();
                std::future::ready(Ok::<(), Infallible>(()))
            })
            .await;
    });
}

fn spawn(life: &Lifecycle, name: &'static str, job: impl Future<Output = ()> + Send + 'static) {
    life.spawn(name, async move {
        job.await;
        Ok::<(), Infallible>(())
    });
}

fn watch_certificates(process: &Process, life: &Lifecycle, assembled: &Assembled, watched: Certificates) {
    let timer = Timer {
        name: "certificates",
        every: certificates::EVERY,
        limit: certificates::LIMIT,
        views: None,
        wake: None,
        stop: process.stop.clone(),
        rng: Arc::clone(&assembled.state.rng),
    };
    let watched = Arc::new(watched);
    spawn(life, "job certificates", async move { timer.run(|| Arc::clone(&watched).look()).await });
}

fn public_listener(config: &Config, tls: Option<&ServerTls>) -> ListenerSettings {
    let (addr, tls) = (config.server.addr.clone(), tls.map(ServerTls::config));
    ListenerSettings { setting: "SERVER_ADDR", addr, tls, limits: Limits::from_config(&config.http) }
}

fn metrics_listener(config: &Config) -> Option<ListenerSettings> {
    let addr = config.observability.metrics_addr.clone()?;
    Some(ListenerSettings {
        setting: "METRICS_ADDR",
        addr,
        tls: None,
        limits: Limits::from_config(&config.http),
    })
}
