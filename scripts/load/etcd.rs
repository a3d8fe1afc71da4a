//! etcd: `put` through its HTTP gateway.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::target::{Acknowledged, Document, Standing, Written};

/// A cluster of etcd.
#[derive(Debug)]
pub(crate) struct Etcd {
    pub(crate) http: reqwest::Client,
    pub(crate) urls: Vec<String>,
}

impl Etcd {
    pub(crate) async fn write(&self, node: usize, key: &str, value: &str) -> Result<Written, String> {
        let body = json!({ "key": STANDARD.encode(key), "value": STANDARD.encode(value) });
        match self.post(node, "/v3/kv/put", &body).await? {
            Answer::Done(answer) => {
                let revision = number(answer.pointer("/header/revision"))
                    .ok_or_else(|| format!("a put was acknowledged without a revision: {answer}"))?;
                Ok(Written::Acknowledged(Acknowledged { revision, index: revision }))
            }
            Answer::NotConnected => Ok(Written::Refused(None)),
            Answer::Broken => Ok(Written::Unknown),
        }
    }

    /// A linearizable read, so there is no index to wait for.
    pub(crate) async fn read(&self, node: usize, key: &str) -> Result<Option<Document>, String> {
        let answer = match self.post(node, "/v3/kv/range", &json!({ "key": STANDARD.encode(key) })).await? {
            Answer::Done(answer) => answer,
            Answer::NotConnected | Answer::Broken => return Err(format!("no answer to the read of {key}")),
        };
        let Some(found) = answer.pointer("/kvs/0") else { return Ok(None) };
        let value = found.get("value").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
        let value = value.and_then(|bytes| String::from_utf8(bytes).ok());
        match (value, number(found.get("mod_revision"))) {
            (Some(value), Some(revision)) => Ok(Some(Document { revision, value })),
            _ => Err(format!("{key} cannot be read: {answer}")),
        }
    }

    pub(crate) async fn standing(&self, node: usize) -> Option<Standing> {
        let answer = match self.post(node, "/v3/maintenance/status", &json!({})).await.ok()? {
            Answer::Done(answer) => answer,
            Answer::NotConnected | Answer::Broken => return None,
        };
        let leader = answer.get("leader").and_then(Value::as_str);
        Some(Standing {
            leads: leader.is_some() && leader == answer.pointer("/header/member_id").and_then(Value::as_str),
            term: number(answer.get("raftTerm"))?,
        })
    }

    async fn post(&self, node: usize, path: &str, body: &Value) -> Result<Answer, String> {
        let base = self.urls.get(node).ok_or("no such node")?;
        let sent = self.http.post(format!("{}{path}", base.trim_end_matches('/'))).json(body).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok(Answer::NotConnected),
            Err(_) => return Ok(Answer::Broken),
        };
        let status = response.status();
        let Ok(answer) = response.json::<Value>().await else { return Ok(Answer::Broken) };
        match status {
            StatusCode::OK => Ok(Answer::Done(answer)),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => Err(format!("etcd refuses: {answer}")),
            // Time-outs and changes of leader: it may have been done.
            _ => Ok(Answer::Broken),
        }
    }
}

enum Answer {
    Done(Value),
    NotConnected,
    Broken,
}

/// The gateway writes 64-bit numbers as text.
fn number(value: Option<&Value>) -> Option<u64> {
    value?.as_str()?.parse().ok()
}
