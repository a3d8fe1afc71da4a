//! Addresses: where to listen, where peers are, which proxies are trusted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use rustls::pki_types::DnsName;

use super::{Invalid, each, quoted};
use crate::config::setting::Raw;

/// A host: an address or a name, lower-case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A DNS name.
    Name(String),
}

impl Host {
    /// An address, an address in brackets, or a DNS name.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inner.parse().ok().map(|v6| Self::Ip(IpAddr::V6(v6)));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Ip(address));
        }
        // What looks like an IPv4 address but is none (10.0.0.256) is a mistake, not a name.
        let last_label = text.rsplit('.').next().unwrap_or(text);
        let named = DnsName::try_from(text).is_ok() && !last_label.bytes().all(|b| b.is_ascii_digit());
        named.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// True for `localhost` and loopback addresses.
    pub fn is_loopback(&self) -> bool {
        match self {
            Host::Ip(address) => address.to_canonical().is_loopback(),
            Host::Name(name) => name == "localhost",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddr {
    /// The interface; `None` (written `:port`) is every interface.
    pub host: Option<Host>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl ListenAddr {
    /// `host:port` or `:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        let host = if host.is_empty() { None } else { Some(Host::parse(host)?) };
        Some(Self { host, port })
    }

    /// `host:port` under which this machine reaches it.
    pub fn local_authority(&self) -> String {
        match &self.host {
            Some(Host::Ip(ip)) if ip.is_unspecified() => format!("localhost:{}", self.port),
            Some(host) => format!("{host}:{}", self.port),
            None => format!("localhost:{}", self.port),
        }
    }

    /// Loopback only, IPv4.
    pub fn loopback(port: u16) -> Self {
        Self { host: Some(Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))), port }
    }

    /// True when only this machine can connect.
    pub fn is_loopback(&self) -> bool {
        self.host.as_ref().is_some_and(Host::is_loopback)
    }

    /// Texts for a bind call, to be tried in this order. Every interface is tried as IPv6 (on Linux this
    /// takes IPv4 too) and then as IPv4, for machines without IPv6.
    pub fn candidates(&self) -> Vec<String> {
        match &self.host {
            Some(host) => vec![format!("{host}:{}", self.port)],
            None => vec![format!("[::]:{}", self.port), format!("0.0.0.0:{}", self.port)],
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}")?;
        }
        write!(f, ":{}", self.port)
    }
}

/// A peer's address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The host to dial.
    pub host: Host,
    /// The port to dial; never 0.
    pub port: u16,
}

impl HostPort {
    /// `host:port`, `[v6]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_port(text)?;
        Some(Self { host: Host::parse(host)?, port: Some(port).filter(|port| *port != 0)? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Splits at the last colon; an IPv6 address must be in brackets.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| port.parse().ok())?.map(|port| (host, port))
}

/// `:port` or `host:port`.
pub(in crate::config) fn listen_addr(raw: &Raw) -> Result<ListenAddr, Invalid> {
    let text = raw.text()?;
    ListenAddr::parse(text).ok_or_else(|| {
        Invalid::new(
            format!("{} is not an address to listen on", quoted(text)),
            "write host:port or :port, for example :8080",
        )
    })
}

/// A network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or a single address. Bits beyond the prefix must be zero, because a
    /// network written otherwise is usually not the one that was meant.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => {
                let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
                (address.parse().ok()?, Some(prefix).filter(|_| digits)?.parse().ok()?)
            }
            None => {
                let address: IpAddr = text.parse().ok()?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        let network = Self { address, prefix };
        let width = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= width && network.masked(address) == Some(bits(address))).then_some(network)
    }

    /// True when `address` is in the network. An IPv4 address in IPv6 clothing counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == Some(bits(self.address))
    }

    /// True when every address of its family is in it.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    fn masked(&self, address: IpAddr) -> Option<u128> {
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let host_bits = u32::from(width.checked_sub(self.prefix)?);
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(bits(address) & mask)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A list of networks.
pub(in crate::config) fn networks(raw: &Raw) -> Result<Vec<Network>, Invalid> {
    each(raw, |item| {
        Network::parse(item).ok_or_else(|| {
            Invalid::new(
                format!("{} is not a network", quoted(item)),
                "write addresses or networks with zero host bits, for example 10.0.0.0/8, 192.0.2.7",
            )
        })
    })
}
