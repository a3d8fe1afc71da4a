//! hellojohn: `PUT /v1/admin/tenants/{slug}` with another name each time.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::target::{Acknowledged, Document, Standing, Written, padded};

/// A cluster of hellojohn.
#[derive(Debug)]
pub(crate) struct Hellojohn {
    pub(crate) http: reqwest::Client,
    pub(crate) urls: Vec<String>,
    pub(crate) bearer: String,
}

impl Hellojohn {
    /// A body of `bytes` bytes that gives the tenant a name with the number in it.
    pub(crate) fn value(sequence: u64, bytes: usize) -> String {
        let frame = r#"{"name":""}"#.len();
        format!(r#"{{"name":"{}"}}"#, padded(sequence, bytes.saturating_sub(frame)))
    }

    pub(crate) async fn write(&self, node: usize, key: &str, body: &str) -> Result<Written, String> {
        let url = self.url(node, &format!("/v1/admin/tenants/{key}"))?;
        let sent = self.http.put(url).bearer_auth(&self.bearer).body(body.to_owned()).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok(Written::Refused(None)),
            Err(_) => return Ok(Written::Unknown),
        };
        let status = response.status();
        let headers = response.headers().clone();
        // Read to its end, so that the connection can be used again.
        let Ok(body) = response.bytes().await else { return Ok(Written::Unknown) };
        if status.is_success() {
            return acknowledged(&headers).map(Written::Acknowledged);
        }
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = problem.get("code").and_then(Value::as_str).unwrap_or("");
        match (status, code) {
            (StatusCode::CONFLICT, "follower_conflict") => Ok(Written::Refused(self.hinted(&headers))),
            // These were refused before anything was proposed.
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "no_leader" | "cluster_not_formed" | "busy" | "storage_unavailable" | "node_failed",
            ) => Ok(Written::Refused(None)),
            (StatusCode::SERVICE_UNAVAILABLE, _) => Ok(Written::Unknown),
            _ => Err(format!("the write to {key} was answered {status} {code}: {problem}")),
        }
    }

    pub(crate) async fn read(&self, node: usize, key: &str, index: u64) -> Result<Option<Document>, String> {
        let url = self.url(node, &format!("/v1/admin/tenants/{key}"))?;
        let request = self.http.get(url).bearer_auth(&self.bearer).header("X-Min-Index", index);
        let response = request.send().await.map_err(|error| error.to_string())?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(format!("the read of {key} was answered {status}")),
        }
        let body: Value = response.json().await.map_err(|error| error.to_string())?;
        let name = body.get("name").and_then(Value::as_str);
        let revision = body.get("revision").and_then(Value::as_u64);
        let (Some(name), Some(revision)) = (name, revision) else {
            return Err(format!("{key} has no name or revision: {body}"));
        };
        Ok(Some(Document { revision, value: format!(r#"{{"name":"{name}"}}"#) }))
    }

    pub(crate) async fn standing(&self, node: usize) -> Option<Standing> {
        let url = self.url(node, "/readyz").ok()?;
        let body: Value = self.http.get(url).send().await.ok()?.json().await.ok()?;
        let cluster = body.get("cluster")?;
        Some(Standing {
            leads: cluster.get("role")?.as_str()? == "leader",
            term: cluster.get("term")?.as_u64()?,
        })
    }

    /// What a load balancer asks before it sends anybody there.
    pub(crate) async fn ready(&self, node: usize) -> bool {
        let Ok(url) = self.url(node, "/readyz") else { return false };
        self.http.get(url).send().await.is_ok_and(|response| response.status().is_success())
    }

    /// The node that `X-Leader-URL` names.
    fn hinted(&self, headers: &HeaderMap) -> Option<usize> {
        let hint = headers.get("x-leader-url")?.to_str().ok()?;
        self.urls.iter().position(|url| hint.trim_end_matches('/') == url.trim_end_matches('/'))
    }

    fn url(&self, node: usize, path: &str) -> Result<String, String> {
        let base = self.urls.get(node).ok_or("no such node")?;
        Ok(format!("{}{path}", base.trim_end_matches('/')))
    }
}

fn acknowledged(headers: &HeaderMap) -> Result<Acknowledged, String> {
    let number = |name: &str| {
        let text = headers.get(name)?.to_str().ok()?;
        text.trim_matches('"').parse().ok()
    };
    let revision = number("etag").ok_or("a write was acknowledged without an ETag")?;
    let index = number("x-applied-index").ok_or("a write was acknowledged without X-Applied-Index")?;
    Ok(Acknowledged { revision, index })
}
