//! Sends what waits in the outboxes. Every node does; who takes a mail holds it for a while, so two never work on one.
//!
//! Mails are sent in lanes, one for each database and mail server. A lane has one batch on its way at a time and is served by
//! a task of its own, so a server that hangs holds up nobody but those who mail through it. What is not taken stays in the
//! outbox and is tried again, at growing intervals, until its link has expired.

mod attempt;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use hellojohn_control::documents::Tenant;
use hellojohn_control::{Slug, Timestamp, View};
use tokio_util::task::TaskTracker;

use self::attempt::Done;
use super::Mails;
use crate::cluster::ControlPlane;
use crate::crypto::secret::SecretString;
use crate::domain::clock::Clock;
use crate::domain::rng::Rng;
use crate::domain::sender::Sender;
use crate::mail::{SendError, Server, Smtp, Templates};
use crate::service::Result;
use crate::service::user_store::{UserStores, refused};
use crate::store::Database;
use crate::store::pg::outbox::Taken;

/// Mails of one lane that are taken together.
const BATCH: u32 = 16;
/// Mails of one lane that are on their way at the same time.
const AT_ONCE: usize = 4;
/// Lanes that are served at the same time.
const LANES: usize = 32;
/// How long a taken mail is nobody else's. Longer than a batch can take: four rounds of at most 30 s.
const LEASE: Duration = Duration::from_secs(180);
/// How long a stop waits for mails that are on their way.
const STOP: Duration = Duration::from_secs(5);
/// How often the figures of what waits are taken.
const FIGURES_EVERY: Duration = Duration::from_secs(30);

/// What a [`Delivery`] is made of.
#[derive(Debug)]
pub struct DeliveryParts {
    /// Who writes the mails.
    pub mails: Mails,
    /// Tenants, their servers and their look.
    pub plane: ControlPlane,
    /// The databases.
    pub stores: UserStores,
    /// What mails say.
    pub templates: Templates,
    /// The way to the servers.
    pub smtp: Smtp,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

/// A database (`None`: the global one) and a mail server (`None`: that of the configuration).
type Lane = (Option<Slug>, Option<Slug>);

/// Sends mails. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Delivery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: DeliveryParts,
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Lanes with a batch on its way.
    busy: HashSet<Lane>,
    /// What was wrong with a lane last, so that it is told once.
    trouble: HashMap<Lane, String>,
    /// When the figures were taken last.
    figures: Timestamp,
}

/// Marks a lane as busy while it lives.
struct Busy {
    inner: Arc<Inner>,
    lane: Lane,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.inner.state().busy.remove(&self.lane);
    }
}

impl Delivery {
    /// A delivery of `parts`.
    pub fn new(parts: DeliveryParts) -> Self {
        Self(Arc::new(Inner { parts, tasks: TaskTracker::new(), state: Mutex::default() }))
    }

    /// Takes what is due in every lane that is free, and has it sent in the background.
    ///
    /// # Errors
    /// The first refusal of a database, after all were asked.
    pub async fn tend(&self) -> Result<()> {
        let parts = &self.0.parts;
        let view = parts.plane.view();
        let mut result = Ok(());
        if let Some(database) = parts.stores.pools().global() {
            result = result.and(self.tend_database(&view, None, database).await);
        }
        for slug in parts.mails.to_look_at() {
            let entry = view.tenant(&slug).filter(|entry| entry.tenant.settings.user_store.is_some());
            let Some(entry) = entry else {
                parts.mails.forget(&slug);
                continue;
            };
            let tended = match parts.stores.database(&entry.tenant) {
                Ok(database) => self.tend_database(&view, Some(&slug), &database).await,
                Err(error) => Err(error),
            };
            result = result.and(tended);
        }
        result
    }

    /// Has the databases looked into of all tenants that have one of their own, where this node leads: what another node left
    /// there when it stopped.
    pub fn look_everywhere(&self) {
        let parts = &self.0.parts;
        if parts.plane.may_write().is_err() {
            return;
        }
        let view = parts.plane.view();
        for (slug, _) in view.tenants().iter().filter(|(_, entry)| entry.tenant.settings.user_store.is_some())
        {
            parts.mails.look_at(slug.clone());
        }
        parts.mails.wake().notify_one();
    }

    /// Waits for what is on its way, for a while. What is not finished is taken again by somebody when its lease ends.
    pub async fn shutdown(&self) {
        self.0.tasks.close();
        if tokio::time::timeout(STOP, self.0.tasks.wait()).await.is_err() {
            tracing::info!("mails were on their way at shutdown; they will be sent again");
        }
    }

    async fn tend_database(&self, view: &Arc<View>, owner: Option<&Slug>, database: &Database) -> Result<()> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        self.take_figures(owner, database, now).await?;
        let mut due = database.tenants_with_due_mails(now).await.map_err(|error| refused(&error))?;
        let mut strangers = HashSet::new();
        for slug in &due {
            // What a deleted tenant of that name has left is not mailed in the name of another one.
            if let Some(entry) = Slug::parse(slug).ok().and_then(|slug| view.tenant(&slug))
                && let Err(error) = parts.stores.admit(database, &entry.tenant).await
            {
                tracing::debug!(?error, tenant = slug, "its mails wait");
                strangers.insert(slug.clone());
            }
        }
        due.retain(|slug| !strangers.contains(slug));
        // Those that mail through a server of their own, and those that mail through ours.
        let own_server = |slug: &str| {
            let tenant = &view.tenant(&Slug::parse(slug).ok()?)?.tenant;
            tenant.settings.smtp.is_some().then_some(tenant)
        };
        let (own, ours): (Vec<String>, Vec<String>) =
            due.into_iter().partition(|slug| own_server(slug).is_some());
        if let Some(server) = parts.mails.0.settings.server.clone()
            && !ours.is_empty()
        {
            self.serve(view, (owner.cloned(), None), Ok(server), database, &ours, now).await?;
        }
        for slug in own {
            let Some(tenant) = own_server(&slug) else { continue };
            let lane = (owner.cloned(), Some(tenant.slug.clone()));
            self.serve(view, lane, self.server_of(tenant), database, &[slug], now).await?;
        }
        if let Some(owner) = owner {
            // Forgotten first: what is committed after the count has the database looked into again by itself.
            parts.mails.forget(owner);
            let waiting = database.mails_waiting().await;
            if !waiting.as_ref().is_ok_and(|waiting| waiting.count == 0) {
                parts.mails.look_at(owner.clone());
            }
            waiting.map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// Takes the lane's next batch and has it sent, unless one is on its way.
    async fn serve(
        &self,
        view: &Arc<View>,
        lane: Lane,
        server: std::result::Result<Server, String>,
        database: &Database,
        tenants: &[String],
        now: Timestamp,
    ) -> Result<()> {
        {
            let mut state = self.0.state();
            if state.busy.len() >= LANES || !state.busy.insert(lane.clone()) {
                return Ok(());
            }
        }
        let busy = Busy { inner: Arc::clone(&self.0), lane: lane.clone() };
        let taken = database.take_mails(tenants, now, now.plus(LEASE), BATCH).await;
        let taken = taken.map_err(|error| refused(&error))?;
        if taken.is_empty() {
            return Ok(());
        }
        let (delivery, view, database) = (self.clone(), Arc::clone(view), database.clone());
        self.0.tasks.spawn(async move {
            let sent = delivery.send_all(&view, &lane, server, &database, taken).await;
            drop(busy);
            if sent {
                // There may be more, and the server is well.
                delivery.0.parts.mails.wake().notify_one();
            }
        });
        Ok(())
    }

    /// Sends a batch; whether a server took any of it.
    async fn send_all(
        &self,
        view: &View,
        lane: &Lane,
        server: std::result::Result<Server, String>,
        database: &Database,
        taken: Vec<Taken>,
    ) -> bool {
        let (away, sent) = (AtomicBool::new(false), AtomicBool::new(false));
        let trouble = Mutex::new(None);
        let (away, sent, trouble, server) = (&away, &sent, &trouble, &server);
        futures::stream::iter(taken)
            .for_each_concurrent(AT_ONCE, |mail| async move {
                // A server that has just not answered is not asked again at once.
                let result = match server {
                    Err(why) => Err(SendError::Unusable(why.clone())),
                    Ok(_) if away.load(Ordering::Relaxed) => {
                        Err(SendError::Unreachable("it did not answer a moment ago".to_owned()))
                    }
                    Ok(server) => self.send(view, server, &mail).await,
                };
                match &result {
                    Ok(Done::Sent) => sent.store(true, Ordering::Relaxed),
                    Ok(Done::Over(_)) => {}
                    Err(error) => {
                        if matches!(error, SendError::Unreachable(_)) {
                            away.store(true, Ordering::Relaxed);
                        }
                        let mut first = trouble.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert_with(|| error.to_string());
                    }
                }
                if let Err(error) = self.settle(database, &mail, result).await {
                    // Its lease ends, and somebody tries again.
                    tracing::warn!(
                        ?error,
                        "what became of a mail was not written down; it may be sent again"
                    );
                }
            })
            .await;
        let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.tell(lane, trouble);
        sent.load(Ordering::Relaxed)
    }

    /// The tenant's own server.
    fn server_of(&self, tenant: &Tenant) -> std::result::Result<Server, String> {
        let smtp = tenant.settings.smtp.as_ref().ok_or("the tenant has no mail server")?;
        let password = smtp.password.as_ref().map(|sealed| {
            let opened = self.0.parts.mails.0.sealing.open_smtp_password(&tenant.slug, sealed);
            let opened = opened.map_err(|error| format!("settings.smtp.password: {error}"))?;
            Ok::<_, String>(SecretString::from(String::from_utf8_lossy(opened.expose()).into_owned()))
        });
        let from = Sender::parse(&smtp.from).map_err(|error| format!("settings.smtp.from {error}"))?;
        Ok(Server {
            host: smtp.host.clone(),
            port: smtp.port,
            login: smtp.username.clone().zip(password.transpose()?),
            from,
            tls: smtp.tls,
        })
    }

    /// Trouble is told when it begins, changes and ends.
    fn tell(&self, (database, server): &Lane, trouble: Option<String>) {
        let lane = (database.clone(), server.clone());
        let mut state = self.0.state();
        let before = match &trouble {
            Some(trouble) => state.trouble.insert(lane, trouble.clone()),
            None => state.trouble.remove(&lane),
        };
        drop(state);
        let server = server.as_ref().map_or("SMTP_HOST", Slug::as_str);
        match (before, trouble) {
            (before, Some(trouble)) if before.as_ref() != Some(&trouble) => {
                tracing::warn!(server, trouble, "mails are not taken; they wait in the outbox");
            }
            (Some(_), None) => tracing::info!(server, "mails are taken again"),
            (_, Some(_)) | (None, None) => {}
        }
    }

    /// What waits in the global database, now and then.
    async fn take_figures(&self, owner: Option<&Slug>, database: &Database, now: Timestamp) -> Result<()> {
        if owner.is_some() {
            return Ok(());
        }
        {
            let mut state = self.0.state();
            if now.since(state.figures) < FIGURES_EVERY {
                return Ok(());
            }
            state.figures = now;
        }
        let waiting = database.mails_waiting().await.map_err(|error| refused(&error))?;
        let age = waiting.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        metrics::gauge!("hellojohn_mail_waiting").set(u32::try_from(waiting.count).unwrap_or(u32::MAX));
        metrics::gauge!("hellojohn_mail_oldest_waiting_seconds").set(age.as_secs_f64());
        Ok(())
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
