//! One request and its answer.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue, IF_NONE_MATCH};
use serde_json::Value;

use super::answer::{Answer, header, number};
use super::error::{ApiError, Refusal};
use super::{Api, Call, Condition, call};
use crate::config::value::url::BaseUrl;

/// Longest body that is read, in bytes.
const MAX_BODY: usize = 16 << 20;

/// An answer as it came, whatever its status.
struct Raw {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

/// What an answer may take.
#[derive(Clone, Copy)]
struct Bounds {
    longest: usize,
    /// Instead of the client's own patience.
    within: Option<Duration>,
}

impl Api {
    /// Sends a call to `target` and judges the answer. The caller vouches that credentials may go there.
    pub(super) async fn send(&self, target: &BaseUrl, call: &Call<'_>) -> Result<Answer, ApiError> {
        let raw = self.exchange(target, call).await?;
        if !(200..300).contains(&raw.status) {
            return Err(ApiError::Refused(Box::new(refusal(target, &raw))));
        }
        let body = if raw.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&raw.body)
                .map_err(|_| ApiError::Strange(format!("{target} sent something else than JSON")))?
        };
        Ok(Answer { status: raw.status, body, index: number(&raw.headers, "x-applied-index") })
    }

    /// Asks the first address without credentials and takes its answer whether it is good or bad news: the
    /// status code and the document.
    ///
    /// # Errors
    /// See [`ApiError`]; never [`ApiError::Refused`].
    pub async fn look(&self, path: &str) -> Result<(u16, Value), ApiError> {
        let asked = Call { credentials: false, ..call(Method::GET, path) };
        let raw = self.exchange(self.base(), &asked).await?;
        let body = serde_json::from_slice(&raw.body)
            .map_err(|_| ApiError::Strange(format!("{} sent something else than JSON", self.base())))?;
        Ok((raw.status, body))
    }

    /// Asks the node at the first address for a file of at most `longest` bytes, which must have come `within` that time;
    /// gives it with the log index that it reflects.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn fetch(
        &self,
        path: &str,
        longest: usize,
        within: Duration,
    ) -> Result<(Vec<u8>, Option<u64>), ApiError> {
        let bounds = Bounds { longest, within: Some(within) };
        let raw = self.exchange_within(self.base(), &call(Method::POST, path), bounds).await?;
        if raw.status != 200 {
            return Err(ApiError::Refused(Box::new(refusal(self.base(), &raw))));
        }
        let index = number(&raw.headers, "x-applied-index");
        Ok((raw.body, index))
    }

    /// Sends a call to `target` and takes the answer, whatever it says.
    async fn exchange(&self, target: &BaseUrl, call: &Call<'_>) -> Result<Raw, ApiError> {
        self.exchange_within(target, call, Bounds { longest: MAX_BODY, within: None }).await
    }

    async fn exchange_within(
        &self,
        target: &BaseUrl,
        call: &Call<'_>,
        bounds: Bounds,
    ) -> Result<Raw, ApiError> {
        let mut request = self.http.request(call.method.clone(), format!("{target}{}", call.path));
        if let Some(within) = bounds.within {
            request = request.timeout(within);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| call.credentials) {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        if call.condition == Condition::Absent {
            request = request.header(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        if call.min_index > 0 {
            request = request.header("x-min-index", call.min_index);
        }
        let mut response = request.send().await.map_err(|error| broken(target, &error))?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(target, &error))? {
            if body.len() + chunk.len() > bounds.longest {
                return Err(ApiError::Strange(format!("{target} sent more than {} bytes", bounds.longest)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Raw { status, headers, body })
    }
}

fn refusal(target: &BaseUrl, raw: &Raw) -> Refusal {
    let parsed = Refusal::parse(raw.status, &raw.body);
    Refusal {
        request_id: parsed.request_id.or_else(|| header(&raw.headers, "x-request-id")),
        retry_after: number(&raw.headers, "retry-after").map(Duration::from_secs),
        leader: header(&raw.headers, "x-leader"),
        leader_url: header(&raw.headers, "x-leader-url"),
        at: target.as_str().to_owned(),
        ..parsed
    }
}

/// The causes in one line; a reqwest error alone says little. It may hold the address, never a header.
fn broken(target: &BaseUrl, error: &reqwest::Error) -> ApiError {
    let mut reason = if error.is_timeout() { "no answer in time".to_owned() } else { String::new() };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            reason = if reason.is_empty() { text } else { format!("{reason}: {text}") };
        }
        cause = error.source();
    }
    if reason.is_empty() {
        reason = error.to_string();
    }
    let url = target.as_str().to_owned();
    if error.is_connect() { ApiError::Unreachable { url, reason } } else { ApiError::Broken { url, reason } }
}
