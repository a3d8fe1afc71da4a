//! A narrow reading of RFC 3986 for the addresses that documents hold.
//!
//! Written here and not taken from a library for two reasons. A parser that repairs what it reads (`https:x`,
//! `http://2130706433/`, `/a/%2e%2e/b`, tabs, backslashes) disagrees with the next one, and such
//! disagreements are how redirects are stolen (S01). And whether a document is valid is part of the replicated
//! state: two releases with other host tables would part ways at the same log entry.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The parts of an address that a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uri<'a> {
    /// Scheme, in lower case.
    pub(super) scheme: &'a str,
    /// Host; only a private-use scheme can do without.
    pub(super) host: Option<Host<'a>>,
    /// Port, where one is written.
    pub(super) port: Option<u16>,
    /// Path and query.
    pub(super) rest: &'a str,
}

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Uri<'a> {
    /// Reads an absolute address, or says what it must be.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        check_characters(text)?;
        let (scheme, rest) = text.split_once(':').ok_or("must be an absolute URL")?;
        if !valid_scheme(scheme) {
            return Err("must be an absolute URL that begins with a scheme in lower case");
        }
        let (host, port, rest) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                let (host, port) = parse_authority(authority)?;
                (host, port, rest)
            }
            None if rest.starts_with('/') => (None, None, rest),
            None => return Err("must have '/' or '//' after the scheme"),
        };
        if host.is_none() && (port.is_some() || matches!(scheme, "http" | "https")) {
            return Err("must name a host");
        }
        if rest.contains(['[', ']']) {
            return Err("must percent-encode '[' and ']'");
        }
        let path = rest.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dot_segment) {
            return Err("must not have '.' or '..' as a part of its path");
        }
        Ok(Self { scheme, host, port, rest })
    }

    /// Whether the address leads to this machine and nowhere else (RFC 8252 §7.3, §8.3).
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Some(Host::Name(name)) => *name == "localhost",
            Some(Host::V4(ip)) => ip.is_loopback(),
            Some(Host::V6(ip)) => ip.is_loopback(),
            None => false,
        }
    }
}

/// ASCII of RFC 3986 without `#` (no fragment), `@` before the path is refused later, and `*` (reads as a
/// wildcard). A percent sign introduces two hex digits.
fn check_characters(text: &str) -> Result<(), &'static str> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => {
                let hex = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_hexdigit());
                hex(bytes.next()) && hex(bytes.next())
            }
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'?' | b'[' | b']' | b'@' => true,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'+' | b',' | b';' | b'=' => true,
            other => other.is_ascii_alphanumeric(),
        };
        if !good {
            return Err("must be an absolute ASCII URL without fragment, wildcard, backslash or blanks");
        }
    }
    Ok(())
}

fn valid_scheme(scheme: &str) -> bool {
    scheme.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
}

type Authority<'a> = (Option<Host<'a>>, Option<u16>);

fn parse_authority(authority: &str) -> Result<Authority<'_>, &'static str> {
    if authority.contains('@') {
        return Err("must not have user information");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inner, port) = rest.split_once(']').ok_or("must have a valid host")?;
            let ip = inner.parse().map_err(|_| "must have a valid IPv6 address")?;
            (Some(Host::V6(ip)), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (if host.is_empty() { None } else { Some(parse_host(host)?) }, port)
        }
    };
    let port = match port {
        "" => None,
        _ => Some(port.strip_prefix(':').and_then(parse_port).ok_or("must have a port of 1 to 65535")?),
    };
    Ok((host, port))
}

fn parse_port(text: &str) -> Option<u16> {
    let plain = text.len() <= 5 && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// A host name of RFC 1123 (and `_`, which internal names have), or an IPv4 address in its one usual form.
fn parse_host(host: &str) -> Result<Host<'_>, &'static str> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("must have a valid host name; names outside ASCII go in as punycode");
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().next().is_some_and(|b| b.is_ascii_digit()) {
        return host.parse().map(Host::V4).map_err(|_| "must write an IPv4 address as four decimal numbers");
    }
    Ok(Host::Name(host))
}

/// Whether it is a URN (RFC 8141) of plain characters.
pub(super) fn is_urn(text: &str) -> bool {
    let named = text.strip_prefix("urn:").and_then(|rest| rest.split_once(':'));
    named.is_some_and(|(space, name)| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        space.len() >= 2 && space.bytes().all(plain) && !name.is_empty()
    }) && check_characters(text).is_ok()
}

/// Whether it is a DNS name in lower case, with at least one dot.
pub(super) fn is_domain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    text.contains('.') && text.bytes().all(plain) && matches!(parse_host(text), Ok(Host::Name(_)))
}

fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_address_apart() {
        let uri = Uri::parse("https://app.example.com:8443/cb?x=a@b/../c").unwrap();
        assert_eq!(uri.scheme, "https");
        assert_eq!(uri.host, Some(Host::Name("app.example.com")));
        assert_eq!(uri.port, Some(8443));
        assert_eq!(uri.rest, "/cb?x=a@b/../c", "only the path is a path");
        let uri = Uri::parse("com.example.app:/cb").unwrap();
        assert_eq!((uri.scheme, uri.host, uri.rest), ("com.example.app", None, "/cb"));
        assert_eq!(Uri::parse("https://[::1]").unwrap().host, Some(Host::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(Uri::parse("http://127.0.0.1?q").unwrap().host, Some(Host::V4(Ipv4Addr::LOCALHOST)));
    }

    /// S01: nothing is repaired, and nothing is understood in two ways.
    #[test]
    fn refuses_what_parsers_disagree_about() {
        for bad in [
            "",
            "app.example.com/cb",
            "//app.example.com/cb",
            "https:app.example.com/cb",
            "https:/app.example.com/cb",
            "https:///cb",
            "https://:443/cb",
            "HTTPS://app.example.com/cb",
            "https://@app.example.com/cb",
            "https://user@app.example.com/cb",
            "https://good.example\\@evil.example/cb",
            "https://good.example%40evil.example/cb",
            "https://app.example.com#x",
            "https://app.example.com/a b",
            "https://app.example.com/a\tb",
            "https://app.example.com/\n",
            "https://app.example.com/*",
            "https://app.example.com/%",
            "https://app.example.com/%2",
            "https://app.example.com/%zz",
            "https://app.example.com/a/../b",
            "https://app.example.com/a/..",
            "https://app.example.com/a/%2e%2E/b",
            "https://app.example.com/./b",
            "https://app.example.com:/cb",
            "https://app.example.com:0/cb",
            "https://app.example.com:080/cb",
            "https://app.example.com:65536/cb",
            "https://app.example.com:80:80/cb",
            "https://app.example.com./cb",
            "https://app..example.com/cb",
            "https://-app.example.com/cb",
            "https://bücher.example/cb",
            "http://2130706433/cb",
            "http://127.1/cb",
            "http://0177.0.0.1/cb",
            "http://0x7f.0.0.1/cb",
            "http://127.0.0.1.0/cb",
            "https://[::1/cb",
            "https://[fe80::1%25eth0]/cb",
            "https://a[b]/cb",
            "https://app.example.com/[x]",
            "javascript:alert(1)",
        ] {
            assert!(Uri::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for near in ["http://localhost/cb", "http://127.0.0.1:3000/", "http://127.8.9.1/", "http://[::1]:1/"]
        {
            assert!(Uri::parse(near).unwrap().is_loopback(), "{near}");
        }
        for far in [
            "http://localhost.example.com/",
            "http://128.0.0.1/",
            "http://[::2]/",
            "a.b:/localhost",
            "a.b://x/",
        ] {
            assert!(!Uri::parse(far).unwrap().is_loopback(), "{far}");
        }
    }
}
