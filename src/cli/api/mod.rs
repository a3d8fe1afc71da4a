//! The client of the HTTP API that the commands use.
//!
//! Owns where credentials may go. Must never follow a redirect by itself (a library that does may drop or
//! leak the `Authorization` header, S109), never show a credential, and never wait without a bound.
//!
//! A node that does not lead answers a write with 409 and `X-Leader-URL`; the call is then made at that
//! address, at most [`MAX_HOPS`] times, with credentials for allowed hosts only. While no leader is known the
//! call is repeated from its first address, a limited number of times with jittered pauses. So is a write of the
//! control plane whose outcome is unknown: it carries an `Idempotency-Key` and has one effect.

mod answer;
mod error;
mod hosts;
mod login;
mod transport;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use error::{ApiError, Refusal};
pub use hosts::AllowedHosts;
pub use login::Login;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::config::value::url::BaseUrl;
use crate::crypto::secret::SecretString;
use crate::domain::rng::{self, Rng};

/// Most times that a call is sent on to a leader.
pub const MAX_HOPS: u32 = 3;
/// Most items that a list is asked for at once.
const PAGE: u32 = 200;
/// Most pages of a list that are read.
const MAX_PAGES: u32 = 1_000;

/// How long the client waits.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For one answer as a whole. A key rotation may take 15 seconds.
    pub answer: Duration,
    /// How often a call is repeated while no leader is known.
    pub retries: u32,
    /// Longest pause between two tries, whatever `Retry-After` says.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            retries: 5,
            longest_pause: Duration::from_secs(3),
        }
    }
}

/// A condition on the document that is written (RFC 9110 §13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// None.
    Always,
    /// It must not exist yet.
    Absent,
}

/// What is sent, beside the address.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Path and query; made of parsed identifiers, which need no escaping.
    pub(super) path: &'a str,
    pub(super) body: Option<&'a Value>,
    pub(super) condition: Condition,
    /// Wait until the answering node has applied this index; 0 for no wait.
    pub(super) min_index: u64,
    pub(super) credentials: bool,
    /// Makes the call known when it is repeated, where the server takes such a key.
    pub(super) key: Option<&'a str>,
}

/// The client.
pub struct Api {
    http: reqwest::Client,
    base: BaseUrl,
    hosts: AllowedHosts,
    authorization: Option<HeaderValue>,
    patience: Patience,
    rng: Arc<dyn Rng>,
    /// The newest log index that an answer told; reads wait for it, so that they see our own writes.
    seen: AtomicU64,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Api {
    /// A client of the node or load balancer at `base`, without credentials.
    ///
    /// # Errors
    /// When the system's TLS roots cannot be used.
    pub fn new(
        base: BaseUrl,
        hosts: AllowedHosts,
        patience: Patience,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, ApiError> {
        // Refused only when the process has a provider already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the environment would see the credentials of every http:// call.
            .no_proxy()
            .connect_timeout(patience.connect)
            .timeout(patience.answer)
            .user_agent(concat!("hellojohn-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ApiError::Client(error.to_string()))?;
        Ok(Self { http, base, hosts, authorization: None, patience, rng, seen: AtomicU64::new(0) })
    }

    /// With a bearer token (RFC 6750) for every call.
    ///
    /// # Errors
    /// [`ApiError::Bearer`] for a text that is none.
    pub fn with_bearer(mut self, token: &SecretString) -> Result<Self, ApiError> {
        let token = token.expose();
        let b64token = token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        if token.is_empty() || !b64token {
            return Err(ApiError::Bearer);
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ApiError::Bearer)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// The address that calls begin at.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Reads a document.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn get(&self, path: &str) -> Result<Answer, ApiError> {
        let min_index = self.seen.load(Ordering::Relaxed);
        self.call(Call { min_index, ..call(Method::GET, path) }).await
    }

    /// Reads a document that may not exist: `None` when the server says that nothing has that name.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn find(&self, path: &str) -> Result<Option<Answer>, ApiError> {
        match self.get(path).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ApiError::Refused(refusal)) if refusal.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads every page of a list.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MAX_PAGES {
            let asked = match cursor.as_str() {
                "" => format!("{path}?limit={PAGE}"),
                cursor => format!("{path}?limit={PAGE}&cursor={cursor}"),
            };
            let mut answer = self.get(&asked).await?;
            match answer.body.get_mut("items").map(Value::take) {
                Some(Value::Array(page)) => items.extend(page),
                Some(_) | None => return Err(ApiError::Strange("the list has no items".to_owned())),
            }
            match answer.body.get("next_cursor").and_then(Value::as_str) {
                // An opaque text of the server: it goes back only if it needs no escaping.
                Some(next) if next.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) => {
                    next.clone_into(&mut cursor);
                }
                Some(_) => return Err(ApiError::Strange("the list has a cursor that is none".to_owned())),
                None => return Ok(items),
            }
        }
        Err(ApiError::Strange(format!("the list has more than {MAX_PAGES} pages")))
    }

    /// Writes a document.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn put(&self, path: &str, body: &Value, condition: Condition) -> Result<Answer, ApiError> {
        self.call(Call { body: Some(body), condition, ..call(Method::PUT, path) }).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, ApiError> {
        self.call(Call { body: Some(body), ..call(Method::POST, path) }).await
    }

    /// Removes a document.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn delete(&self, path: &str) -> Result<Answer, ApiError> {
        self.call(call(Method::DELETE, path)).await
    }

    /// Makes a call, following the leader and waiting for one, and tells what came of it.
    async fn call(&self, call: Call<'_>) -> Result<Answer, ApiError> {
        let key = takes_key(&call).then(|| rng::uuid(self.rng.as_ref()).to_string());
        let call = Call { key: key.as_deref(), ..call };
        let mut tries = 0;
        loop {
            let error = match self.follow(&call).await {
                Ok(answer) => {
                    self.seen.fetch_max(answer.index.unwrap_or(0), Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(wait) = error.try_again_after(call.key.is_some()) else { return Err(error) };
            if tries >= self.patience.retries {
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(self.pause(wait)).await;
        }
    }

    /// Makes a call here, and at the leader where this node sends us there.
    async fn follow(&self, call: &Call<'_>) -> Result<Answer, ApiError> {
        let mut target = self.base.clone();
        for hop in 0..=MAX_HOPS {
            let refusal = match self.send(&target, call).await {
                Err(ApiError::Refused(refusal)) if refusal.is_follower() => refusal,
                // The node that we were sent to is gone; nothing has reached it, and another may lead by now.
                Err(ApiError::Unreachable { url, reason }) if hop > 0 => {
                    return Err(ApiError::LeaderGone { url, reason });
                }
                other => return other,
            };
            target = self.hosts.leader(&target, &refusal)?;
        }
        Err(ApiError::TooManyHops)
    }

    /// From half of the wanted pause to all of it.
    fn pause(&self, wanted: Duration) -> Duration {
        let longest = wanted.min(self.patience.longest_pause);
        let half = longest / 2;
        half + half * u32::from(rng::bytes::<1>(self.rng.as_ref())[0]) / 255
    }
}

fn call(method: Method, path: &str) -> Call<'_> {
    Call {
        method,
        path,
        body: None,
        condition: Condition::Always,
        min_index: 0,
        credentials: true,
        key: None,
    }
}

/// Whether it is a write of the control plane, which has one effect under one `Idempotency-Key` (spec §13.5).
fn takes_key(call: &Call<'_>) -> bool {
    let path = call.path.split('?').next().unwrap_or_default();
    let control = ["/v1/admin/tenants/", "/v1/admin/keys/", "/v1/admin/cluster/members"];
    call.method != Method::GET
        && control.iter().any(|area| path.starts_with(area))
        && !path.ends_with("/revoke")
        && !path.contains("/user-store/")
}
