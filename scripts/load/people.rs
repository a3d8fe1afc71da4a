//! Load on the user plane: people who log in, refresh, look at their account, and administrators who look for people.
//!
//! The accounts are there already: `user0@example.com` and so on, in one tenant, all with one password. Each client takes one
//! that no other client takes, so that a rotation of refresh tokens meets no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep_until;

use crate::bench::{Pace, percentile};
use crate::target::http_client;

const WARM_UP: Duration = Duration::from_secs(1);
/// Spreads picks over all accounts; prime, so that every account comes.
const STRIDE: u64 = 7_368_787;

/// Whom the load plays, and how.
#[derive(Debug, Args)]
pub(crate) struct People {
    /// Base URL of a node; clients take turns among several.
    #[arg(long = "url", required = true)]
    urls: Vec<String>,
    /// What each client does again and again.
    #[arg(long, value_enum)]
    scenario: Scenario,
    /// Clients at the same time.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Seconds to measure, after one second of warming up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// After a refusal that says when to try again, wait until then.
    #[arg(long)]
    patient: bool,
    /// That nobody is served is no error: refusals are what is asked for.
    #[arg(long)]
    hopeless: bool,
    /// Requests per second of all clients together; as many as they can without it.
    #[arg(long)]
    rate: Option<u32>,
    /// Accounts that there are.
    #[arg(long)]
    users: u64,
    /// Slug of their tenant.
    #[arg(long, default_value = "crowd")]
    tenant: String,
    /// Their password.
    #[arg(long)]
    password: String,
    /// File with a bearer token of an administrator, for the scenarios of administrators.
    #[arg(long)]
    token_file: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Log in with the password.
    Login,
    /// Exchange the refresh token that the last exchange gave.
    Refresh,
    /// Look at one's own account.
    Me,
    /// Look for people by the beginning of an address.
    SearchEmail,
    /// Look for people by the beginning of a family name.
    SearchName,
    /// Walk through all people, page after page.
    Page,
    /// Look at one account.
    User,
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<Duration>,
    /// Answers by their status; 0 for none.
    statuses: BTreeMap<u16, u64>,
    /// Refusals for lack of room that did not say when to try again.
    silent_refusals: u64,
}

struct Client {
    http: reqwest::Client,
    url: String,
    people: Arc<People>,
    admin: Option<String>,
    number: u64,
    /// What the next request needs of the one before.
    access: String,
    refresh: String,
    cursor: String,
    begin: Instant,
    end: Instant,
    interval: Option<Duration>,
}

pub(crate) async fn run(people: People) -> Result<(), String> {
    let admin = people.token_file.as_ref().map(std::fs::read_to_string).transpose();
    let admin = admin.map_err(|error| format!("--token-file: {error}"))?;
    let people = Arc::new(people);
    let length = Duration::from_secs(people.seconds);
    let interval = Pace { length, rate: people.rate }.interval(people.clients);
    let http = http_client(Duration::from_secs(30))?;
    let mut clients = Vec::new();
    for number in 0..people.clients {
        let url = people.urls.get(number % people.urls.len()).cloned().unwrap_or_default();
        let number = u64::try_from(number).unwrap_or_default();
        let mut client = Client {
            http: http.clone(),
            url: url.trim_end_matches('/').to_owned(),
            people: Arc::clone(&people),
            admin: admin.as_ref().map(|token| token.trim().to_owned()),
            number,
            access: String::new(),
            refresh: String::new(),
            cursor: String::new(),
            begin: Instant::now(),
            end: Instant::now(),
            interval,
        };
        if matches!(people.scenario, Scenario::Refresh | Scenario::Me) {
            client.log_in_first().await?;
        }
        clients.push(client);
    }
    let begin = Instant::now() + WARM_UP;
    let tasks = clients
        .into_iter()
        .map(|client| tokio::spawn(Client { begin, end: begin + length, ..client }.work()));
    let mut all = Seen::default();
    for task in futures::future::join_all(tasks).await {
        let seen = task.map_err(|error| error.to_string())?;
        all.latencies.extend(seen.latencies);
        all.silent_refusals += seen.silent_refusals;
        for (status, count) in seen.statuses {
            *all.statuses.entry(status).or_default() += count;
        }
    }
    all.latencies.sort_unstable();
    if all.latencies.is_empty() && !people.hopeless {
        return Err(format!("nobody was served: {:?}", all.statuses));
    }
    let served = u32::try_from(all.latencies.len()).unwrap_or(u32::MAX);
    let line = json!({
        "scenario": format!("{:?}", people.scenario),
        "clients": people.clients,
        "per_second": (f64::from(served) / length.as_secs_f64() * 10.0).round() / 10.0,
        "p50_ms": percentile(&all.latencies, 50),
        "p99_ms": percentile(&all.latencies, 99),
        "statuses": all.statuses,
        "silent_refusals": all.silent_refusals,
    });
    println!("{line}");
    Ok(())
}

impl Client {
    async fn log_in_first(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            match self.log_in(self.number).await {
                Some((StatusCode::OK, body, _)) => {
                    self.keep(&body);
                    return Ok(());
                }
                other if Instant::now() >= deadline => return Err(format!("nobody can log in: {other:?}")),
                Some(_) | None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn work(mut self) -> Seen {
        let mut seen = Seen::default();
        // Not all in one moment: each has its own place within the interval.
        let places = u32::try_from(self.people.clients.max(1)).unwrap_or(u32::MAX);
        let place = u32::try_from(self.number).unwrap_or_default();
        let mut due = Instant::now() + self.interval.unwrap_or_default() * place / places;
        let mut step = 0;
        loop {
            let mut started = Instant::now();
            if let Some(interval) = self.interval {
                // A request that had to wait for the one before it counts from when it was due.
                let turn = due;
                due += interval;
                if turn > started {
                    sleep_until(turn.into()).await;
                    started = Instant::now();
                } else {
                    started = turn;
                }
            }
            if started >= self.end {
                return seen;
            }
            step += 1;
            let answer = self.step(step).await;
            let done = Instant::now();
            // Whatever was asked within the time counts, also if the answer took until after it: else the longest waits are missing.
            let counts = started >= self.begin;
            let (status, retry_after) = match &answer {
                Some((status, body, retry_after)) => {
                    self.keep(body);
                    (status.as_u16(), *retry_after)
                }
                None => (0, None),
            };
            if counts {
                *seen.statuses.entry(status).or_default() += 1;
                if status == 503 && retry_after.is_none() {
                    seen.silent_refusals += 1;
                }
                if (200..300).contains(&status) {
                    seen.latencies.push(done - started);
                }
            }
            if self.people.patient
                && let Some(pause) = retry_after
            {
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn step(&mut self, step: u64) -> Option<Answer> {
        let users = self.people.users.max(1);
        let somebody = (self.number * 131 + step).wrapping_mul(STRIDE) % users;
        let tenant = &self.people.tenant;
        match self.people.scenario {
            Scenario::Login => self.log_in(somebody).await,
            Scenario::Refresh => self.post("/v1/auth/refresh", &json!({"refresh_token": self.refresh})).await,
            Scenario::Me => self.get("/v1/me", &self.access).await,
            Scenario::SearchEmail => {
                self.admin_get(&format!("/v1/admin/users?tenant_id={tenant}&limit=20&q=user{somebody}")).await
            }
            Scenario::SearchName => {
                let name = somebody % 5000;
                self.admin_get(&format!("/v1/admin/users?tenant_id={tenant}&limit=20&q=family{name}")).await
            }
            Scenario::Page => {
                let path = format!("/v1/admin/users?tenant_id={tenant}&limit=50&cursor={}", self.cursor);
                self.admin_get(&path).await
            }
            Scenario::User => {
                let id = format!("00000000-0000-4000-8000-{somebody:012x}");
                self.admin_get(&format!("/v1/admin/users/{id}?tenant_id={tenant}")).await
            }
        }
    }

    fn keep(&mut self, body: &Value) {
        let text = |member: &str| body.get(member).and_then(Value::as_str).map(str::to_owned);
        if let Some(token) = text("refresh_token") {
            self.refresh = token;
        }
        if let Some(token) = text("access_token") {
            self.access = token;
        }
        self.cursor = text("next_cursor").unwrap_or_default();
    }

    async fn log_in(&self, user: u64) -> Option<Answer> {
        let body = json!({
            "tenant_id": self.people.tenant,
            "client_id": "web",
            "email": format!("user{user}@example.com"),
            "password": self.people.password,
        });
        self.post("/v1/auth/login", &body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Option<Answer> {
        read(self.http.post(format!("{}{path}", self.url)).body(body.to_string())).await
    }

    async fn get(&self, path: &str, bearer: &str) -> Option<Answer> {
        read(self.http.get(format!("{}{path}", self.url)).bearer_auth(bearer)).await
    }

    async fn admin_get(&self, path: &str) -> Option<Answer> {
        self.get(path, self.admin.as_deref().unwrap_or_default()).await
    }
}

/// The status, the body, and after how long a refusal says to try again.
type Answer = (StatusCode, Value, Option<Duration>);

/// Nothing without an answer.
async fn read(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let (status, retry_after) = (response.status(), response.headers().get("retry-after").cloned());
    let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.json().await.unwrap_or_default();
    Some((status, body, seconds.map(Duration::from_secs)))
}
