//! Whether this node can serve people (spec §3.4, §13.1, §13.2, §13.6).
//!
//! Owns what "ready" means and what it names when it is not. Must never put a secret, a DSN or a path of this
//! machine into a text: anybody may read the answer. Losing the quorum alone does not make a node unready.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hellojohn_control::View;
use tokio::sync::Semaphore;

use crate::cluster::{ControlPlane, Role, Status};
use crate::crypto::signer::KeyOpener;
use crate::service::limits::Limits;
use crate::store::{self, Pools};

/// How long an answer of the database is good for, so that a probe cannot hammer it.
const DATABASE_FRESH: Duration = Duration::from_secs(1);
/// How long the database has to answer.
const DATABASE_DEADLINE: Duration = Duration::from_secs(1);

/// How a part of the node is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It works.
    Ok,
    /// It is not configured, and so not needed.
    Disabled,
    /// It does not work, and why; public.
    Failed(String),
}

impl Check {
    /// `ok`, `disabled` or why it fails.
    pub fn as_str(&self) -> &str {
        match self {
            Check::Ok => "ok",
            Check::Disabled => "disabled",
            Check::Failed(why) => why,
        }
    }
}

/// Something that keeps the node from serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable snake_case.
    pub code: &'static str,
    /// For people; public.
    pub detail: String,
}

/// What the caller wants of the node besides serving people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Any,
    /// That it takes control-plane writes.
    Leader,
}

/// The node's health.
#[derive(Debug, Clone)]
pub struct Report {
    /// What keeps it from serving; empty when it is ready.
    pub failing: Vec<Failure>,
    /// The global database.
    pub database: Check,
    /// Redis, where rate limits count in it. Never keeps the node from serving.
    pub cache: Check,
    /// Whether this node opens the keys that sign now.
    pub keystore: Check,
    /// What the control plane says about itself.
    pub cluster: Status,
}

/// The state of the schema, as the start-up task has found it.
#[derive(Debug, Default)]
pub struct Schema(ArcSwapOption<String>);

impl Schema {
    /// Notes what is wrong with the schema; `None` when it is this version's.
    pub fn set(&self, problem: Option<String>) {
        self.0.store(problem.map(Arc::new));
    }
}

/// Asks the parts of the node how they are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HealthService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plane: ControlPlane,
    pools: Arc<Pools>,
    keys: Arc<KeyOpener>,
    limits: Limits,
    schema: Arc<Schema>,
    database: ArcSwapOption<(Instant, Check)>,
    turn: Semaphore,
}

impl HealthService {
    /// The health of a node of these parts.
    pub fn new(
        plane: ControlPlane,
        pools: Arc<Pools>,
        keys: Arc<KeyOpener>,
        limits: Limits,
        schema: Arc<Schema>,
    ) -> Self {
        let (database, turn) = (ArcSwapOption::empty(), Semaphore::new(1));
        Self(Arc::new(Inner { plane, pools, keys, limits, schema, database, turn }))
    }

    /// How the node is doing. Takes about as long as the database, one second at most.
    pub async fn report(&self, wanted: Wanted) -> Report {
        let (cluster, database) = tokio::join!(self.0.plane.status(), self.database());
        let view = self.0.plane.view();
        let keystore = self.keystore(&view);
        let mut failing = cluster_failures(&cluster, &view);
        let checks = [("keystore_failed", "keystore", &keystore), ("db_unavailable", "db", &database)];
        for (code, name, check) in checks {
            // Without keys there is nothing to open, and that is named already.
            let named = name == "keystore" && view.global_keys().is_empty();
            if let Check::Failed(why) = check
                && !named
            {
                failing.push(Failure { code, detail: format!("{name}: {why}") });
            }
        }
        if wanted == Wanted::Leader && !takes_writes(cluster.role) {
            let leader = cluster.leader_id.as_deref().unwrap_or("nobody");
            failing.push(Failure { code: "not_leader", detail: format!("the leader is {leader}") });
        }
        Report { failing, database, cache: self.cache(), keystore, cluster }
    }

    /// Number of tenants that have a pool of connections.
    pub fn pools(&self) -> &Pools {
        &self.0.pools
    }

    /// The format that the cluster writes; `None` before it is formed.
    pub fn format(&self) -> Option<u16> {
        self.0.plane.view().formation().map(|formation| formation.format)
    }

    /// How many records of control-plane writes wait to be copied, and how many went before they were.
    pub fn audit_outbox(&self) -> (u64, u64) {
        let view = self.0.plane.view();
        let outbox = view.audit();
        (u64::try_from(outbox.len()).unwrap_or(u64::MAX), outbox.dropped())
    }

    /// Shown only: without Redis this node goes on serving people, and all nodes lose it at the same time.
    fn cache(&self) -> Check {
        match self.0.limits.redis_is_up() {
            None => Check::Disabled,
            Some(true) => Check::Ok,
            Some(false) => Check::Failed("Redis does not answer".to_owned()),
        }
    }

    fn keystore(&self, view: &View) -> Check {
        let ring = view.global_keys();
        if ring.is_empty() {
            return Check::Failed("there are no signing keys yet".to_owned());
        }
        for alg in ring.algs() {
            if let Some(key) = ring.active(alg)
                && let Err(error) = self.0.keys.handle(None, key)
            {
                return Check::Failed(error.to_string());
            }
        }
        Check::Ok
    }

    async fn database(&self) -> Check {
        let Some(database) = self.0.pools.global() else { return Check::Disabled };
        if let Some(recent) = self.recent() {
            return recent;
        }
        // One asks, the others wait for its answer. The semaphore is never closed.
        let _turn = self.0.turn.acquire().await;
        if let Some(recent) = self.recent() {
            return recent;
        }
        let check = match (database.ping(DATABASE_DEADLINE).await, self.0.schema.0.load().as_deref()) {
            (Ok(()), None) => Check::Ok,
            (Ok(()), Some(problem)) => Check::Failed(problem.clone()),
            (Err(error), _) => Check::Failed(public(&error)),
        };
        self.0.database.store(Some(Arc::new((Instant::now(), check.clone()))));
        check
    }

    fn recent(&self) -> Option<Check> {
        let last = self.0.database.load_full()?;
        (last.0.elapsed() < DATABASE_FRESH).then(|| last.1.clone())
    }
}

/// A store error's own text has no host, DSN or value in it.
fn public(error: &store::Error) -> String {
    error.to_string()
}

fn takes_writes(role: Role) -> bool {
    match role {
        Role::Leader | Role::Single => true,
        Role::Follower | Role::Learner => false,
    }
}

fn cluster_failures(cluster: &Status, view: &View) -> Vec<Failure> {
    if let Some(waiting) = &cluster.waiting {
        return vec![Failure { code: "cluster_not_formed", detail: waiting.clone() }];
    }
    let mut failing = Vec::new();
    if let Some(detail) = cluster.other_cluster.clone() {
        failing.push(Failure { code: "other_cluster", detail });
    }
    if cluster.raft.state == "Shutdown" {
        let detail = "the control plane of this node has stopped".to_owned();
        failing.push(Failure { code: "node_failed", detail });
    } else if !cluster.caught_up {
        let detail = "has not yet applied what was committed when it started".to_owned();
        failing.push(Failure { code: "catching_up", detail });
    }
    if view.global_keys().is_empty() {
        let detail = "the leader has not made the global signing keys yet".to_owned();
        failing.push(Failure { code: "no_signing_keys", detail });
    }
    failing
}
