//! Where a request comes from: the peer's address, or what a trusted proxy says (spec §10, S62).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, header};

use crate::config::value::net::Network;
use crate::http::edge::Connection;
use crate::http::error::{ApiError, ApiResult};

/// The addresses for which a proxy speaks.
pub(in crate::http) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Most hops of `X-Forwarded-For` that are looked at.
const MAX_HOPS: usize = 32;
/// Most characters of a user agent that are kept.
const MAX_USER_AGENT: usize = 256;

/// The peers whose `X-Forwarded-*` headers are believed (`TRUSTED_PROXIES`); none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// These networks.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether a peer with this address is believed.
    pub(in crate::http) fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }
}

/// Who is at the other end, as far as the network tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's address; `0.0.0.0` when the request came through no listener (tests).
    pub ip: IpAddr,
    /// The user agent, printable and bounded.
    pub user_agent: Option<String>,
    /// Whether the client's side of the connection is https.
    pub https: bool,
}

impl ClientInfo {
    /// Reads the connection and, where the peer is trusted, the forwarding headers.
    pub fn derive(connection: Option<&Connection>, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let peer = connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.peer.ip().to_canonical());
        let tls = connection.is_some_and(|c| c.tls);
        let proxied = connection.is_some() && trusted.contains(peer);
        let ip = if proxied { forwarded_for(headers, trusted).unwrap_or(peer) } else { peer };
        let https = tls || (proxied && forwarded_https(headers));
        let user_agent = headers.get(header::USER_AGENT).map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .chars()
                .filter(|c| !c.is_control())
                .take(MAX_USER_AGENT)
                .collect()
        });
        Self { ip, user_agent, https }
    }

    /// What the edge found for the request with these extensions.
    pub fn of(extensions: &Extensions) -> Self {
        extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::derive(None, &HeaderMap::new(), &TrustedProxies::default()))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientInfo {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Ok(Self::of(&parts.extensions))
    }
}

/// The rightmost hop that is no trusted proxy. Each proxy appends the peer it saw, so everything left of
/// that hop is the client's own claim. Anything that cannot be read gives `None`: the peer then counts.
fn forwarded_for(headers: &HeaderMap, trusted: &TrustedProxies) -> Option<IpAddr> {
    let mut hops = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        hops.extend(value.to_str().ok()?.split(',').map(str::trim));
    }
    let mut leftmost_trusted = None;
    for hop in hops.iter().rev().take(MAX_HOPS) {
        let ip = address(hop)?;
        if !trusted.contains(ip) {
            return Some(ip);
        }
        leftmost_trusted = Some(ip);
    }
    // Only proxies all the way: a request of the proxy's own host. Beyond the limit of hops: unreadable.
    if hops.len() > MAX_HOPS { None } else { leftmost_trusted }
}

fn address(hop: &str) -> Option<IpAddr> {
    let ip = IpAddr::from_str(hop).or_else(|_| SocketAddr::from_str(hop).map(|socket| socket.ip()));
    ip.ok().map(|ip| ip.to_canonical())
}

/// The last proxy's word counts; several values or another word count as https, the stricter reading.
fn forwarded_https(headers: &HeaderMap) -> bool {
    headers.get_all(FORWARDED_PROTO).iter().any(|value| value.as_bytes() != b"http")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn from(peer: &str, forwarded: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "::1", "192.0.2.7"].map(|text| Network::parse(text).unwrap());
        let trusted = TrustedProxies::new(networks.to_vec());
        let connection = Connection { peer: peer.parse().unwrap(), tls: false };
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        ClientInfo::derive(Some(&connection), &headers, &trusted).ip.to_string()
    }

    /// S62
    #[test]
    fn forwarded_for_is_believed_from_trusted_peers_only() {
        assert_eq!(from("203.0.113.5:1", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(from("10.1.2.3:1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("[::ffff:10.1.2.3]:1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(from("10.1.2.3:1", &[]), "10.1.2.3");
    }

    /// S62
    #[test]
    fn the_client_cannot_choose_its_address_by_prepending_hops() {
        assert_eq!(from("10.1.2.3:1", &["127.0.0.1, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(from("10.1.2.3:1", &["127.0.0.1", "198.51.100.1, 192.0.2.7"]), "198.51.100.1");
        assert_eq!(from("10.1.2.3:1", &["10.0.0.4, 10.0.0.5"]), "10.0.0.4");
    }

    /// S62
    #[test]
    fn what_cannot_be_read_gives_the_peer() {
        let many = vec!["10.0.0.1"; MAX_HOPS + 1].join(",");
        for bad in ["unknown", "198.51.100.1, nonsense", "", "198.51.100.1,", "1.2.3", &many] {
            assert_eq!(from("10.1.2.3:1", &[bad]), "10.1.2.3", "{bad}");
        }
        assert_eq!(from("10.1.2.3:1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(from("10.1.2.3:1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(from("[::1]:1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn the_user_agent_is_bounded_and_printable() {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(&[b'a'; 1000]).unwrap());
        let info = ClientInfo::derive(None, &headers, &TrustedProxies::default());
        assert_eq!(info.user_agent.map(|agent| agent.len()), Some(MAX_USER_AGENT));
    }
}
