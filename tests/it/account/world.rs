//! A node, a database, the routes and a clock that moves when told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hellojohn::cluster::{ControlPlane, Origin, Sealing, Written};
use hellojohn::config::{Config, Inputs};
use hellojohn::crypto::hash_pool::{HashPool, PoolLimits};
use hellojohn::crypto::jwt::AccessClaims;
use hellojohn::crypto::password::HashParams;
use hellojohn::crypto::sealed::Sealer;
use hellojohn::crypto::signer::KeyOpener;
use hellojohn::domain::clock::{Clock, ManualClock};
use hellojohn::domain::password_policy::Blacklist;
use hellojohn::domain::rng::OsRng;
use hellojohn::http::cookies::CookieRules;
use hellojohn::http::middleware::cors::OriginList;
use hellojohn::http::{Edge, EdgeParts, EdgeSettings};
use hellojohn::mail::{Smtp, Templates};
use hellojohn::service::account::{AccountParts, AccountService, AccountSettings};
use hellojohn::service::authenticate::{AdminPolicy, Authenticator};
use hellojohn::service::control::{ControlService, Defaults, TenantInput};
use hellojohn::service::limits::Limits;
use hellojohn::service::mail::{Delivery, DeliveryParts, MailSettings, Mails};
use hellojohn::service::oauth::{OAuthParts, OAuthService, OAuthSettings};
use hellojohn::service::tokens::{Lifetimes, TokenIssuer};
use hellojohn::service::user_store::UserStores;
use hellojohn::service::{LeaderGate, Precondition, Principal, WriteContext};
use hellojohn::store::{Dsn, PoolSettings, Pools};
use hellojohn_control::documents::{ClientPatch, KeySet, SigningKey};
use hellojohn_control::{ClientId, Command, Issuer, Slug, Timestamp};
use hellojohn_raft::{KeyFingerprints, Mode, Node, NowFn, Settings, Timers};
use serde_json::{Value, json};

use crate::harness::postgres::TestDb;

pub(super) use super::answer::{Answer, Tokens, call, part, payload, send, text_of};

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const SIGNING: &str = "0123456789abcdef0123456789abcdef-signing";
pub(super) const SECRETBOX: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What a test may choose.
#[derive(Debug, Clone, Default)]
pub(super) struct Choice {
    /// Settings beside those that every world has.
    pub(super) env: Vec<(&'static str, String)>,
    /// Refused passwords, one a line.
    pub(super) blacklist: &'static str,
    /// Argon2 passes; 1 unless set.
    pub(super) iterations: Option<u32>,
}

/// Everything that is behind the routes.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) router: Router,
    pub(super) state: Served,
    pub(super) hashes: Arc<HashPool>,
    pub(super) limits: Limits,
    pub(super) plane: ControlPlane,
    pub(super) sealing: Sealing,
    pub(super) signing: Arc<Sealer>,
    secretbox: Arc<Sealer>,
    node: Node,
    // Dropped last: the server goes with its database, the directory with the node.
    pub(super) db: TestDb,
    _root: tempfile::TempDir,
}

/// What these routes reach.
#[derive(Debug, Clone, axum::extract::FromRef)]
pub(super) struct Served {
    pub(super) control: ControlService,
    pub(super) accounts: AccountService,
    pub(super) oauth: OAuthService,
    pub(super) stores: UserStores,
    pub(super) cookies: CookieRules,
    pub(super) mails: Mails,
    pub(super) delivery: Delivery,
}

/// A gate that is open: a single node leads.
#[derive(Debug)]
struct Open;

impl LeaderGate for Open {
    fn check(&self) -> hellojohn::service::Result<()> {
        Ok(())
    }

    fn check_knows(&self) -> hellojohn::service::error::Result<()> {
        Ok(())
    }

    fn applied_index(&self) -> u64 {
        0
    }
}

impl World {
    /// A world with the tenants `acme` and `local`, each with the client `web`.
    pub(super) async fn new() -> Self {
        Self::with(Choice::default()).await
    }

    pub(super) async fn with(choice: Choice) -> Self {
        let db = TestDb::new().await;
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let node = Node::start(node_settings(root.path(), &clock)).await.unwrap();
        let plane = ControlPlane::new(node.clone(), clock.clone());
        let signing = Arc::new(Sealer::signing(SIGNING).unwrap());
        let secretbox = Arc::new(Sealer::secretbox(SECRETBOX).unwrap());
        let sealing = Sealing::new(signing.clone(), secretbox.clone(), Arc::new(OsRng));
        let pools = Arc::new(Pools::new(PoolSettings::default(), Some(&Dsn::parse(&db.dsn()).unwrap())));
        let params = HashParams::new(8, choice.iterations.unwrap_or(1), 1).unwrap();
        let limits = PoolLimits { workers: 2, queue: 256 };
        let hashes = Arc::new(HashPool::start(params, limits, Arc::new(OsRng)).unwrap());
        let parts = Assembly {
            clock: &clock,
            plane: &plane,
            sealing: &sealing,
            signing: &signing,
            secretbox: &secretbox,
            hashes: &hashes,
        };
        let (state, router, limits) = parts.assemble(pools, &choice);
        limits.tend().await;
        let world = Self {
            clock,
            router,
            state,
            hashes,
            limits,
            plane,
            sealing,
            signing,
            secretbox,
            node,
            db,
            _root: root,
        };
        world.furnish().await;
        world
    }

    /// The same services over other pools or settings.
    pub(super) fn rebuilt(&self, pools: Pools, choice: &Choice) -> Router {
        let Self { clock, plane, sealing, signing, secretbox, hashes, .. } = self;
        Assembly { clock, plane, sealing, signing, secretbox, hashes }.assemble(Arc::new(pools), choice).1
    }

    /// Another node on the same database, as far as the user plane is concerned.
    pub(super) fn twin(&self, choice: &Choice) -> (Served, Router) {
        let pools = Pools::new(PoolSettings::default(), Some(&Dsn::parse(&self.db.dsn()).unwrap()));
        let Self { clock, plane, sealing, signing, secretbox, hashes, .. } = self;
        let parts = Assembly { clock, plane, sealing, signing, secretbox, hashes };
        let (served, router, _) = parts.assemble(Arc::new(pools), choice);
        (served, router)
    }

    async fn furnish(&self) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.plane.may_write().is_err() || self.plane.view().formation().is_none() {
            assert!(tokio::time::Instant::now() < deadline, "the node has not formed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.state.control.tend_keys(self.clock.now()).await.unwrap();
        for tenant in ["acme", "local"] {
            self.put_tenant(tenant, json!({})).await;
            self.put_client(tenant, "web", json!({"scopes": ["openid", "profile", "email"]})).await;
        }
    }

    pub(super) async fn put_tenant(&self, tenant: &str, patch: Value) {
        let input: TenantInput = serde_json::from_value(patch).unwrap();
        let (control, stores) = (&self.state.control, &self.state.stores);
        control.put_tenant(&context(), &slug(tenant), input, stores).await.unwrap();
    }

    pub(super) async fn put_client(&self, tenant: &str, client: &str, patch: Value) {
        let patch: ClientPatch = serde_json::from_value(patch).unwrap();
        let client = ClientId::parse(client).unwrap();
        let (control, stores) = (&self.state.control, &self.state.stores);
        control.put_client(&context(), &slug(tenant), &client, patch, stores).await.unwrap();
    }

    pub(super) async fn propose(&self, command: Command) -> Written {
        self.plane.propose(&Origin::system("test"), command).await.unwrap()
    }

    pub(super) async fn delete_client(&self, tenant: &str, client: &str) {
        let client_id = ClientId::parse(client).unwrap();
        self.propose(Command::DeleteClient { slug: slug(tenant), client_id }).await;
    }

    /// The active key of a set.
    pub(super) fn key(&self, set: &KeySet) -> Arc<SigningKey> {
        let view = self.plane.view();
        view.keys(set).unwrap().active(hellojohn_control::documents::Alg::EdDsa).unwrap().clone()
    }

    /// Signs claims of the test's own with a real key.
    pub(super) fn forge(&self, set: &KeySet, claims: &AccessClaims) -> String {
        let owner = match set {
            KeySet::Global => None,
            KeySet::Tenant(slug) => Some(slug),
        };
        let opener = KeyOpener::new(self.signing.clone());
        opener.handle(owner, &self.key(set)).unwrap().sign_access(claims).unwrap()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(call("POST", path, None, &body.to_string())).await
    }

    pub(super) async fn get(&self, path: &str, bearer: &str) -> Answer {
        self.send(call("GET", path, Some(bearer), "")).await
    }

    pub(super) async fn register(&self, tenant: &str, email: &str) -> Answer {
        let body = json!({"tenant_id": tenant, "client_id": "web", "email": email, "password": PASSWORD});
        let answer = self.post("/v1/auth/register", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer
    }

    pub(super) async fn try_login(&self, tenant: &str, email: &str, password: &str) -> Answer {
        let body = json!({"tenant_id": tenant, "client_id": "web", "email": email, "password": password});
        self.post("/v1/auth/login", &body).await
    }

    /// Registers and logs in.
    pub(super) async fn session(&self, tenant: &str, email: &str) -> Tokens {
        self.register(tenant, email).await;
        self.login(tenant, email).await
    }

    pub(super) async fn login(&self, tenant: &str, email: &str) -> Tokens {
        Tokens::of(&self.try_login(tenant, email, PASSWORD).await)
    }

    pub(super) async fn refresh(&self, token: &str) -> Answer {
        self.post("/v1/auth/refresh", &json!({"refresh_token": token})).await
    }

    /// Runs a statement as an operator would, by hand.
    pub(super) async fn sql(&self, statement: &'static str) -> u64 {
        let mut connection = self.db.connection().await;
        sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected()
    }

    pub(super) async fn count(&self, statement: &'static str) -> i64 {
        let mut connection = self.db.connection().await;
        sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
    }

    /// Stops the control plane: nobody leads any more.
    pub(super) async fn lose_the_leader(&self) {
        self.node.shutdown().await;
        assert!(self.plane.may_write().is_err());
    }

    pub(super) async fn end(self) {
        self.node.shutdown().await;
        self.state.stores.pools().close(Duration::from_secs(5)).await;
    }
}

/// What both worlds and rebuilt routes are made of.
struct Assembly<'a> {
    clock: &'a Arc<ManualClock>,
    plane: &'a ControlPlane,
    sealing: &'a Sealing,
    signing: &'a Arc<Sealer>,
    secretbox: &'a Arc<Sealer>,
    hashes: &'a Arc<HashPool>,
}

impl Assembly<'_> {
    fn assemble(&self, pools: Arc<Pools>, choice: &Choice) -> (Served, Router, Limits) {
        let config = config(choice);
        let admin_tenants: Arc<[Slug]> = config.admin.tenants.clone().into();
        let stores = UserStores::new(self.plane.clone(), pools, self.sealing.clone());
        let admins = AdminPolicy {
            enforce: config.admin.enforce,
            subs: config.admin.subs.iter().cloned().collect::<BTreeSet<_>>(),
            tenants: admin_tenants.clone(),
        };
        let authenticator =
            Authenticator::new(self.plane.clone(), stores.clone(), self.clock.clone(), admins);
        let limits = Limits::new(&config, self.clock.clone()).unwrap();
        let lifetimes = Lifetimes { access: config.jwt.access_ttl, refresh: config.jwt.refresh_ttl };
        let opener = Arc::new(KeyOpener::new(self.signing.clone()));
        let mails = Mails::new(MailSettings::new(&config), self.sealing.clone(), Arc::new(OsRng));
        let ca = config.smtp.ca_file.as_ref().map(|pem| pem.text.expose());
        let delivery = Delivery::new(DeliveryParts {
            mails: mails.clone(),
            plane: self.plane.clone(),
            stores: stores.clone(),
            templates: Templates::load(config.email.templates_dir.as_deref()).unwrap(),
            smtp: Smtp::new(ca).unwrap(),
            clock: self.clock.clone(),
            rng: Arc::new(OsRng),
        });
        let tokens = Arc::new(TokenIssuer::new(opener, Arc::new(OsRng), lifetimes, admin_tenants.clone()));
        let accounts = AccountService::new(AccountParts {
            plane: self.plane.clone(),
            stores: stores.clone(),
            hashes: self.hashes.clone(),
            tokens: tokens.clone(),
            sealer: self.secretbox.clone(),
            mails: mails.clone(),
            authenticator: authenticator.clone(),
            limits: limits.clone(),
            settings: AccountSettings::new(&config, Blacklist::parse(choice.blacklist.as_bytes()).unwrap()),
            clock: self.clock.clone(),
            rng: Arc::new(OsRng),
        });
        let oauth = OAuthService::new(OAuthParts {
            plane: self.plane.clone(),
            stores: stores.clone(),
            accounts: accounts.clone(),
            authenticator: authenticator.clone(),
            tokens,
            settings: OAuthSettings::new(&config),
            begun: OAuthService::marker(&[7; 32]).unwrap(),
            clock: self.clock.clone(),
            rng: Arc::new(OsRng),
        });
        let defaults = Defaults {
            grace_seconds: 60,
            retry_after: Duration::from_secs(1),
            admin_tenants,
            keep_events: config.audit.keep_events(),
        };
        let state = Served {
            control: ControlService::new(self.plane.clone(), self.sealing.clone(), defaults),
            accounts,
            oauth,
            stores,
            cookies: CookieRules::from_config(&config),
            mails,
            delivery,
        };
        let edge = Edge::new(EdgeParts {
            settings: EdgeSettings {
                trusted_proxies: EdgeSettings::from_config(&config).trusted_proxies,
                ..EdgeSettings::default()
            },
            gate: Arc::new(Open),
            admins: Arc::new(authenticator.clone()),
            users: Arc::new(authenticator),
            origins: Arc::new(OriginList::default()),
            forwarder: None,
            limits: limits.clone(),
            rng: Arc::new(OsRng),
        });
        let surface = hellojohn::http::auth::surface()
            .merge(hellojohn::http::session::surface())
            .merge(hellojohn::http::me::surface())
            .merge(hellojohn::http::mfa::surface())
            .merge(hellojohn::http::oauth2::surface())
            .merge(hellojohn::http::pages::surface())
            .merge(hellojohn::http::admin::surface());
        let router = surface.into_router(&edge, state.clone()).unwrap();
        (state, router, limits)
    }
}

fn config(choice: &Choice) -> Config {
    let fixed = [
        ("SIGNING_MASTER_KEY", SIGNING),
        ("SECRETBOX_MASTER_KEY", SECRETBOX),
        ("JWT_ISSUER", ISSUER),
        // Every request of a test comes from one address.
        ("RATE_ENABLED", "0"),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let chosen = choice.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let env: BTreeMap<String, String> = fixed.chain(chosen).collect();
    hellojohn::config::load(&Inputs { env, ..Inputs::default() }).unwrap().config
}

fn node_settings(root: &std::path::Path, clock: &Arc<ManualClock>) -> Settings {
    let clock = clock.clone();
    Settings {
        name: "n1".to_owned(),
        mode: Mode::Single,
        root: root.to_owned(),
        issuer: Issuer::new(ISSUER),
        fingerprints: KeyFingerprints { signing: "s".to_owned(), secretbox: "b".to_owned() },
        timers: Timers {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(450),
        },
        snapshot_every: 10_000,
        max_log_bytes: 64 * 1024 * 1024,
        write_timeout: Duration::from_secs(5),
        scan_interval: Duration::from_secs(30),
        flush_patience: hellojohn_raft::FLUSH_PATIENCE,
        now: NowFn(Arc::new(move || clock.now())),
    }
}

pub(super) fn context() -> WriteContext {
    let principal = Principal {
        subject: "test".to_owned(),
        tenant: "_system".to_owned(),
        client_id: None,
        session_id: None,
        token_id: "test".to_owned(),
        scopes: Vec::new(),
        expires_at: Timestamp::default(),
    };
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    WriteContext::after_gate(principal, "test".to_owned(), nowhere, Precondition::None)
}

pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}
