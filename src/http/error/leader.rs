//! The one mapper for answers of a node that is not the leader (spec §3.3, S109, F25).
//!
//! Pure: configuration, the leader's name and the request in, the answer out. An address comes from
//! `LEADER_REDIRECTS` only, never from `Host`, a forwarded header or a Raft message.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::config::Cluster;
use crate::config::cluster::WriteMode;
use crate::config::value::url::BaseUrl;

/// The prefix of the only routes that are ever redirected.
const ADMIN: &str = "/v1/admin";
/// The query parameter by which a caller asks for a redirect; it is not carried into the `Location`.
const PARAMETER: &str = "leader_redirect";

/// Where callers are sent for each leader: `LEADER_REDIRECTS` cut down to the allowed hosts.
#[derive(Debug, Clone)]
pub struct LeaderRedirects {
    targets: BTreeMap<String, BaseUrl>,
    mode: WriteMode,
}

impl Default for LeaderRedirects {
    /// Nobody is sent anywhere.
    fn default() -> Self {
        Self::new([], WriteMode::Reject)
    }
}

impl LeaderRedirects {
    /// From addresses that are mapped **and** allowed.
    pub fn new(targets: impl IntoIterator<Item = (String, BaseUrl)>, mode: WriteMode) -> Self {
        Self { targets: targets.into_iter().collect(), mode }
    }

    /// The configured redirects; a target outside `LEADER_REDIRECT_ALLOWED_HOSTS` is not among them.
    pub fn from_config(cluster: &Cluster) -> Self {
        let embedded = cluster.embedded.as_ref();
        let targets = embedded.into_iter().flat_map(|embedded| {
            embedded
                .leader_redirects
                .keys()
                .filter_map(|node| Some((node.as_str().to_owned(), embedded.redirect_to(node)?.clone())))
        });
        Self::new(targets, cluster.write_mode)
    }

    /// The address of `node`, unless it would be a step down from https.
    fn target(&self, node: &str, secure: bool) -> Option<&BaseUrl> {
        self.targets.get(node).filter(|target| target.is_https() || !secure)
    }
}

/// What the mapper needs to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The path as sent, percent-encoding untouched.
    pub path: &'a str,
    /// The query as sent, without `?`.
    pub query: Option<&'a str>,
    /// The value of `X-Leader-Redirect`.
    pub header: Option<&'a str>,
    /// Whether the caller may have come over https; a redirect then never leads to http.
    pub secure: bool,
}

/// The answer of a node that is not the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerAnswer {
    /// 409 with `X-Leader` and, where there is an address, `X-Leader-URL`.
    Conflict {
        /// The configured address of the leader.
        url: Option<String>,
    },
    /// 307 with this `Location`.
    Redirect {
        /// The configured address of the leader, for `X-Leader-URL`.
        url: String,
        /// The address plus the request's path and query without `leader_redirect`.
        location: String,
    },
}

/// Maps "the leader is `leader`" for the request `asked`.
pub fn follower_answer(redirects: &LeaderRedirects, leader: &str, asked: &Asked<'_>) -> FollowerAnswer {
    if !is_admin_path(asked.path) {
        return FollowerAnswer::Conflict { url: None };
    }
    let Some(target) = redirects.target(leader, asked.secure) else {
        return FollowerAnswer::Conflict { url: None };
    };
    let url = target.as_str().to_owned();
    let wanted = match redirects.mode {
        WriteMode::Redirect => true,
        WriteMode::Reject | WriteMode::Forward => asked.header == Some("1") || asks_by_query(asked.query),
    };
    if !wanted {
        return FollowerAnswer::Conflict { url: Some(url) };
    }
    let mut location = format!("{url}{}", asked.path);
    if let Some(query) = asked.query.and_then(without_parameter) {
        location.push('?');
        location.push_str(&query);
    }
    FollowerAnswer::Redirect { url, location }
}

/// Under `/v1/admin`, and in a form that no client and no proxy can read as leading anywhere else.
fn is_admin_path(path: &str) -> bool {
    let inside = path.strip_prefix(ADMIN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    inside
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'?' | b'#'))
        && path.split('/').all(|segment| {
            let decoded: Vec<u8> = percent_decode_str(segment).collect();
            !matches!(decoded.as_slice(), b"." | b"..")
        })
}

fn key_of(pair: &str) -> Vec<u8> {
    percent_decode_str(pair.split_once('=').map_or(pair, |(key, _)| key)).collect()
}

fn asks_by_query(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query.split('&').any(|pair| {
            key_of(pair) == PARAMETER.as_bytes()
                && pair.split_once('=').is_some_and(|(_, value)| value == "1")
        })
    })
}

/// The query without `leader_redirect`, every other byte as it was; `None` when nothing is left.
fn without_parameter(query: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| key_of(pair) != PARAMETER.as_bytes()).collect();
    let kept = kept.join("&");
    (!kept.is_empty() && kept.bytes().all(|b| b.is_ascii_graphic() && b != b'#')).then_some(kept)
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
