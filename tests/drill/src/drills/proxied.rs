//! F26: HAProxy in front, with one pool for everybody and one for administrators' writes.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use serde_json::json;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::net::NODES;
use crate::process::Process;
use crate::run::{Run, Setup};
use crate::waiting::until;

const READS: &str = "127.0.0.1:17190";
const WRITES: &str = "127.0.0.1:17191";
/// How long each event may trouble writers: an election, and the health checks of the proxy.
const BOUND: Duration = Duration::from_secs(6);

/// Needs haproxy.
pub(super) fn haproxy(_setup: &mut Setup) -> Result<(), String> {
    let found = std::process::Command::new("haproxy").arg("-v").stdout(Stdio::null()).status();
    found.map(drop).map_err(|_| "haproxy is not installed (package haproxy)".to_owned())
}

/// Calls through the proxy and what came of them.
#[derive(Debug, Default)]
struct Calls {
    done: AtomicU64,
    /// Failures by what the client saw.
    failed: Mutex<BTreeMap<String, u64>>,
    /// The longest time without success, in milliseconds.
    longest: AtomicU64,
}

impl Calls {
    fn failed(&self) -> BTreeMap<String, u64> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Kill a follower, kill the leader, drain a node and stop it, and bring each back.
pub(super) fn behind(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let mut proxy = start(run)?;
        let (reads, writes, stop) =
            (Arc::<Calls>::default(), Arc::<Calls>::default(), CancellationToken::new());
        let mut clients = JoinSet::new();
        answers(READS).await?;
        clients.spawn(call(run, READS, None, Arc::clone(&reads), stop.clone()));
        clients.spawn(call(run, WRITES, Some("behind"), Arc::clone(&writes), stop.clone()));
        run.mark();
        let happened = events(run).await;
        stop.cancel();
        while clients.join_next().await.is_some() {}
        let config = run.cluster.work().join("haproxy.cfg");
        proxy.kill9().await?;
        happened.map_err(|error| format!("{error} (proxy: {})", config.display()))?;
        for (what, calls) in [("reads", &reads), ("writes", &writes)] {
            let (failed, longest) = (calls.failed(), calls.longest.load(Ordering::Relaxed));
            let count: u64 = failed.values().sum();
            run.note(format!(
                "through HAProxy {} {what}, {count} failed {failed:?}, longest without success {longest} ms",
                calls.done.load(Ordering::Relaxed)
            ));
        }
        let failed_reads: u64 = reads.failed().values().sum();
        run.expect(failed_reads == 0, &format!("no client sees a failed read, not {failed_reads}"));
        let longest = Duration::from_millis(writes.longest.load(Ordering::Relaxed));
        run.expect(longest < BOUND, &format!("writers wait less than {BOUND:?}, not {longest:?}"));
        Ok(())
    }
    .boxed_local()
}

async fn events(run: &mut Run) -> Result<(), String> {
    let leader = run.leader().await?;
    let follower = (leader + 1) % NODES;
    run.cluster.kill9(follower).await?;
    sleep(Duration::from_secs(3)).await;
    run.cluster.start_node(follower)?;
    run.cluster.healthy().await?;
    sleep(Duration::from_secs(3)).await;
    run.cluster.kill9(leader).await?;
    sleep(Duration::from_secs(5)).await;
    run.cluster.start_node(leader)?;
    run.cluster.healthy().await?;
    sleep(Duration::from_secs(3)).await;
    // A planned stop: out of the pool first.
    let drained = run.leader().await?;
    tell(run, &format!("set server everybody/node{} state drain", drained + 1)).await?;
    sleep(Duration::from_secs(1)).await;
    run.cluster.terminate(drained).await?;
    sleep(Duration::from_secs(3)).await;
    run.cluster.start_node(drained)?;
    run.cluster.healthy().await?;
    tell(run, &format!("set server everybody/node{} state ready", drained + 1)).await?;
    sleep(Duration::from_secs(3)).await;
    Ok(())
}

fn start(run: &Run) -> Result<Process, String> {
    let work = run.cluster.work();
    let servers = |options: &str| {
        let line =
            |node: usize| format!("  server node{} {} {options}\n", node + 1, run.cluster.net.http(node));
        (0..NODES).map(line).collect::<String>()
    };
    let checks = "check inter 300ms fall 2 rise 1 on-marked-down shutdown-sessions";
    let text = format!(
        "global\n  stats socket {socket} mode 600 level admin\n  maxconn 2000\n\
         defaults\n  mode http\n  timeout connect 500ms\n  timeout client 10s\n  timeout server 5s\n  \
         timeout check 1s\n  option redispatch 1\n  retries 3\n\
         frontend reads\n  bind {READS}\n  default_backend everybody\n\
         frontend writes\n  bind {WRITES}\n  default_backend leader\n\
         backend everybody\n  balance roundrobin\n  option httpchk GET /readyz\n  \
         retry-on conn-failure empty-response response-timeout 503\n{everybody}\
         backend leader\n  option httpchk GET /readyz?role=leader\n{leader}",
        socket = work.join("haproxy.sock").display(),
        everybody = servers(checks),
        leader = servers(checks),
    );
    let config = work.join("haproxy.cfg");
    std::fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&config);
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())]);
    Process::start("haproxy", command, &env, work, &work.join("haproxy.log"))
}

/// Says something to the running proxy.
async fn tell(run: &Run, what: &str) -> Result<(), String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let socket = run.cluster.work().join("haproxy.sock");
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    let mut stream = tokio::net::UnixStream::connect(&socket).await.map_err(failed)?;
    stream.write_all(format!("{what}\n").as_bytes()).await.map_err(failed)?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.map_err(failed)?;
    if said.trim().is_empty() { Ok(()) } else { Err(format!("haproxy to {what:?}: {said}")) }
}

async fn answers(address: &str) -> Result<(), String> {
    let url = format!("http://{address}/.well-known/jwks.json");
    until("an answer through HAProxy", Duration::from_secs(15), async || {
        let answer = reqwest::get(&url).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await
}

/// One client of the proxy: reads the keys, or writes the tenant `slug`.
fn call(
    run: &Run,
    address: &'static str,
    slug: Option<&'static str>,
    calls: Arc<Calls>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let directory = Arc::clone(&run.cluster.directory);
    async move {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
        let Ok(client) = client else { return };
        let mut last = Instant::now();
        while !stop.is_cancelled() {
            let request = match slug {
                None => client.get(format!("http://{address}/.well-known/jwks.json")),
                Some(slug) => client
                    .put(format!("http://{address}/v1/admin/tenants/{slug}"))
                    .bearer_auth(directory.token(0))
                    .json(&json!({ "name": slug })),
            };
            let said = match request.send().await {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(answer.status().as_u16().to_string()),
                Err(_) => Some("no answer".to_owned()),
            };
            match said {
                None => {
                    let gap = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX);
                    calls.longest.fetch_max(gap, Ordering::Relaxed);
                    calls.done.fetch_add(1, Ordering::Relaxed);
                    last = Instant::now();
                }
                Some(said) => {
                    let mut failed = calls.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    *failed.entry(said).or_default() += 1;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}
