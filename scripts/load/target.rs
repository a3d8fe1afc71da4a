//! What is written to: the few operations that the load needs, the same for both kinds of cluster.

use std::time::Duration;

use crate::etcd::Etcd;
use crate::hellojohn::Hellojohn;

/// How a write ended, as far as the client can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// The cluster said that it is done.
    Acknowledged(Acknowledged),
    /// It was certainly not done; the node that leads, if the answer told.
    Refused(Option<usize>),
    /// It may have been done, or not.
    Unknown,
}

/// What an acknowledgement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// Counts up with the changes of the document.
    pub(crate) revision: u64,
    /// Index in the log, for reads that must see the write.
    pub(crate) index: u64,
}

/// A document as one node shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) revision: u64,
    pub(crate) value: String,
}

/// A cluster that is written to.
#[derive(Debug)]
pub(crate) enum Target {
    Hellojohn(Hellojohn),
    Etcd(Etcd),
}

impl Target {
    pub(crate) fn hellojohn(urls: Vec<String>, token: &str, timeout: Duration) -> Result<Self, String> {
        Ok(Self::Hellojohn(Hellojohn { http: http_client(timeout)?, urls, bearer: token.trim().to_owned() }))
    }

    pub(crate) fn etcd(urls: Vec<String>, timeout: Duration) -> Result<Self, String> {
        Ok(Self::Etcd(Etcd { http: http_client(timeout)?, urls }))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hellojohn(_) => "hellojohn",
            Self::Etcd(_) => "etcd",
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        match self {
            Self::Hellojohn(hellojohn) => hellojohn.urls.len(),
            Self::Etcd(etcd) => etcd.urls.len(),
        }
    }

    /// The value number `sequence` of a client, `bytes` long on the wire.
    pub(crate) fn value(&self, sequence: u64, bytes: usize) -> String {
        match self {
            Self::Hellojohn(_) => Hellojohn::value(sequence, bytes),
            Self::Etcd(_) => padded(sequence, bytes),
        }
    }

    /// Writes through a node. `Err` means that going on is pointless: the request itself is refused.
    pub(crate) async fn write(&self, node: usize, key: &str, value: &str) -> Result<Written, String> {
        match self {
            Self::Hellojohn(hellojohn) => hellojohn.write(node, key, value).await,
            Self::Etcd(etcd) => etcd.write(node, key, value).await,
        }
    }

    /// Whether a load balancer would send a request to the node now. etcd takes requests whenever it listens.
    pub(crate) async fn ready(&self, node: usize) -> bool {
        match self {
            Self::Hellojohn(hellojohn) => hellojohn.ready(node).await,
            Self::Etcd(_) => true,
        }
    }

    /// Reads from a node what is at least as new as `index`.
    pub(crate) async fn read(&self, node: usize, key: &str, index: u64) -> Result<Option<Document>, String> {
        match self {
            Self::Hellojohn(hellojohn) => hellojohn.read(node, key, index).await,
            Self::Etcd(etcd) => etcd.read(node, key).await,
        }
    }

    /// The node that leads, if one says so, and the highest term that any node knows.
    pub(crate) async fn leader(&self) -> (Option<usize>, u64) {
        let mut leader = None;
        let mut term = 0;
        for node in 0..self.nodes() {
            let told = match self {
                Self::Hellojohn(hellojohn) => hellojohn.standing(node).await,
                Self::Etcd(etcd) => etcd.standing(node).await,
            };
            if let Some(standing) = told {
                term = term.max(standing.term);
                if standing.leads {
                    leader = Some(node);
                }
            }
        }
        (leader, term)
    }

    /// Whether revisions of one document are without gaps and repetitions, so that a lost write in the
    /// middle shows.
    pub(crate) fn counts_every_change(&self) -> bool {
        match self {
            Self::Hellojohn(_) => true,
            Self::Etcd(_) => false,
        }
    }
}

/// What a node says about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) leads: bool,
    pub(crate) term: u64,
}

/// A number and filling, `bytes` long (or as long as the number).
pub(crate) fn padded(sequence: u64, bytes: usize) -> String {
    let mut text = format!("{sequence:012}");
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len())));
    text
}

pub(crate) fn http_client(timeout: Duration) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}
