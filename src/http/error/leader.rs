//! The one mapper for answers of a node that is not the leader (spec §3.3, S109, F25).
//!
//! Pure: configuration, the leader's name and the request in, the answer out. An address comes from
//! `LEADER_REDIRECTS` only, never from `Host`, a forwarded header or a Raft message.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// The prefix of the only routes that are ever redirected.
const ADMIN: &str = "/v1/admin";
/// The query parameter by which a caller asks for a redirect; it is not carried into the `Location`.
const PARAMETER: &str = "leader_redirect";

/// Whether a follower answers 409 until it is asked (`CLUSTER_WRITE_MODE=reject`) or redirects unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedirectMode {
    /// 409, and 307 only when asked.
    #[default]
    WhenAsked,
    /// 307 where the leader is mapped and allowed, else 409.
    Always,
}

/// Why an entry of `LEADER_REDIRECTS` or `LEADER_REDIRECT_ALLOWED_HOSTS` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirect {
    /// The address is not a bare origin.
    #[error(
        "LEADER_REDIRECTS: {node}: `{url}` must be http(s)://host[:port] without user, path, query or fragment"
    )]
    Url {
        /// The node the entry is for.
        node: String,
        /// The text as configured.
        url: String,
    },
    /// The host entry is not a host with an optional port.
    #[error("LEADER_REDIRECT_ALLOWED_HOSTS: `{0}` must be host or host:port")]
    Host(String),
}

/// The address of a node's HTTP side: scheme, host and port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    secure: bool,
    host: Host<String>,
    port: u16,
    text: String,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host()?.to_owned();
        let port = url.port_or_known_default()?;
        bare.then(|| Self { secure, host, port, text: url.origin().ascii_serialization() })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AllowedHost {
    host: Host<String>,
    port: Option<u16>,
}

impl AllowedHost {
    fn parse(text: &str) -> Option<Self> {
        // The port is split off by hand: as a URL, `host:80` would lose its default port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') && !host.is_empty() => {
                let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                (host, Some(digits.then(|| port.parse().ok()).flatten()?))
            }
            _ => (text, None),
        };
        Some(Self { host: Host::parse(host).ok()?, port })
    }
}

/// `LEADER_REDIRECTS`, `LEADER_REDIRECT_ALLOWED_HOSTS` and the write mode, checked.
#[derive(Debug, Clone, Default)]
pub struct LeaderRedirects {
    origins: BTreeMap<String, Origin>,
    allowed: Vec<AllowedHost>,
    mode: RedirectMode,
}

impl LeaderRedirects {
    /// Checks the entries `(node name, http(s)://host[:port])` and the hosts `host[:port]`.
    ///
    /// # Errors
    /// Names the setting and the entry that is not acceptable.
    pub fn new<'a>(
        redirects: impl IntoIterator<Item = (&'a str, &'a str)>,
        allowed_hosts: impl IntoIterator<Item = &'a str>,
        mode: RedirectMode,
    ) -> Result<Self, InvalidRedirect> {
        let mut origins = BTreeMap::new();
        for (node, url) in redirects {
            let origin = Origin::parse(url)
                .ok_or_else(|| InvalidRedirect::Url { node: node.to_owned(), url: url.to_owned() })?;
            origins.insert(node.to_owned(), origin);
        }
        let allowed = allowed_hosts
            .into_iter()
            .map(|host| AllowedHost::parse(host).ok_or_else(|| InvalidRedirect::Host(host.to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(Self { origins, allowed, mode })
    }

    /// The configured address of `node`, if its host is allowed and it is no step down from https.
    fn origin_for(&self, node: &str, secure: bool) -> Option<&Origin> {
        let origin = self.origins.get(node)?;
        let allowed = self.allowed.is_empty()
            || self
                .allowed
                .iter()
                .any(|entry| entry.host == origin.host && entry.port.is_none_or(|port| port == origin.port));
        (allowed && (origin.secure || !secure)).then_some(origin)
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
    let Some(origin) = redirects.origin_for(leader, asked.secure) else {
        return FollowerAnswer::Conflict { url: None };
    };
    let url = origin.text.clone();
    let wanted = match redirects.mode {
        RedirectMode::Always => true,
        RedirectMode::WhenAsked => asked.header == Some("1") || asks_by_query(asked.query),
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
