//! URLs: base addresses, origins, and the hosts a redirect may name.

use std::fmt;

use ::url::Url;

use super::net::{Host, HostPort};
use super::{Invalid, each, quoted};
use crate::config::setting::Raw;

/// Longest URL that a setting takes.
const MAX_URL: usize = 2_048;

/// An `http` or `https` address that paths are appended to: no trailing slash, query, fragment or login.
/// The text is kept as it was written, because issuers are compared byte by byte (OIDC Discovery §4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    url: Url,
}

impl BaseUrl {
    /// Parses `text`; the reason never repeats a login in it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const REMEDY: &str = "write a URL such as https://id.example.com";
        if text.len() > MAX_URL {
            return Err(Invalid::new(format!("is longer than {MAX_URL} bytes"), REMEDY));
        }
        let Ok(url) = Url::parse(text) else {
            return Err(Invalid::new("is not a URL", REMEDY));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new("contains a user name or password", REMEDY));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Invalid::new(format!("{} is not an http or https URL", quoted(text)), REMEDY));
        }
        if url.host_str().and_then(Host::parse).is_none() {
            return Err(Invalid::new(format!("{} has no proper host name", quoted(text)), REMEDY));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Invalid::new(format!("{} has a query or fragment", quoted(text)), REMEDY));
        }
        if text.ends_with('/') {
            return Err(Invalid::new(
                format!("{} ends with a slash", quoted(text)),
                "leave the slash out: paths are appended to it",
            ));
        }
        // Url::parse repairs a lot (backslashes, tabs, missing slashes); what it had to repair is refused.
        let normal = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
        if normal != text {
            return Err(Invalid::new(
                format!("{} is not in its normal form", quoted(text)),
                format!("write {normal}"),
            ));
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The text, without trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// True for `https`.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// True when the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.url.host_str().and_then(Host::parse).is_some_and(|host| host.is_loopback())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A base URL.
pub(in crate::config) fn base_url(raw: &Raw) -> Result<BaseUrl, Invalid> {
    BaseUrl::parse(raw.text()?)
}

/// Origins as browsers write them in the `Origin` header: `scheme://host[:port]`, lower-case, no path.
pub(in crate::config) fn origins(raw: &Raw) -> Result<Vec<String>, Invalid> {
    each(raw, parse_origin)
}

/// One origin.
pub(in crate::config) fn origin(raw: &Raw) -> Result<String, Invalid> {
    parse_origin(raw.text()?)
}

fn parse_origin(item: &str) -> Result<String, Invalid> {
    let base = BaseUrl::parse(item).map_err(|invalid| Invalid {
        reason: invalid.reason,
        remedy: "write origins such as https://app.example.com; there is no wildcard".to_owned(),
    })?;
    let origin = base.url().origin().ascii_serialization();
    if origin == item {
        return Ok(origin);
    }
    Err(Invalid::new(format!("{} is not an origin", quoted(item)), format!("write {origin}")))
}

/// A host that a redirect may name, on one port or on any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    host: Host,
    port: Option<u16>,
}

impl HostPattern {
    /// `host` or `host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(host) = Host::parse(text) {
            return Some(Self { host, port: None });
        }
        HostPort::parse(text).map(|HostPort { host, port }| Self { host, port: Some(port) })
    }

    /// True when the URL's host, and its port where the pattern has one, are these.
    pub fn matches(&self, url: &Url) -> bool {
        url.host_str().and_then(Host::parse).as_ref() == Some(&self.host)
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

/// The hosts of a `LEADER_REDIRECT_ALLOWED_HOSTS` text, for programs that are no node.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_host_patterns(text: &str) -> Result<Vec<HostPattern>, Invalid> {
    host_patterns(&Raw::Text(text.to_owned()))
}

/// A list of hosts.
pub(in crate::config) fn host_patterns(raw: &Raw) -> Result<Vec<HostPattern>, Invalid> {
    each(raw, |item| {
        HostPattern::parse(item).ok_or_else(|| {
            Invalid::new(
                format!("{} is not a host", quoted(item)),
                "write host or host:port, for example node1.example.com:8443",
            )
        })
    })
}
