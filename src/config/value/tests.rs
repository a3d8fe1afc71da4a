//! Grammar of the small values.

use std::net::IpAddr;

use ::url::Url;
use proptest::prelude::*;

use super::net::{Host, ListenAddr, Network};
use super::pem::PemKind;
use super::url::{BaseUrl, HostPattern};
use super::*;

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

#[test]
fn switches_take_the_usual_words() {
    for (word, value) in
        [("1", true), ("TRUE", true), ("on", true), ("0", false), ("No", false), ("off", false)]
    {
        assert_eq!(switch(&text(word)), Ok(value), "{word}");
    }
    assert_eq!(switch(&text("maybe")).unwrap_err().reason, "\"maybe\" is not a switch");
    assert_eq!(switch(&Raw::Items(vec![])).unwrap_err().reason, "is a list");
}

#[test]
fn numbers_and_sizes_stay_in_range() {
    assert_eq!(whole(1_u32, 9)(&text(" 9 ")), Ok(9));
    for bad in ["0", "10", "-1", "1.5", "", "x", "99999999999"] {
        assert!(whole(1_u32, 9)(&text(bad)).is_err(), "{bad}");
    }
    let size = bytes(10, 1 << 21);
    for (written, value) in [("10", 10), ("4KiB", 4_096), ("2 MiB", 1 << 21)] {
        assert_eq!(size(&text(written)), Ok(value), "{written}");
    }
    for bad in ["9", "3MiB", "1MB", "KiB", "", "-1", "99999999999999999999GiB", "18446744073709551615KiB"] {
        assert!(size(&text(bad)).is_err(), "{bad}");
    }
}

#[test]
fn lists_have_a_limit() {
    let many = "a,".repeat(257);
    assert_eq!(texts(&text(&many)).unwrap_err().reason, "has 257 items");
    assert!(texts(&text("a\u{7}b")).is_err());
}

#[test]
fn listen_addresses() {
    let parse = |written: &str| net::listen_addr(&text(written));
    assert_eq!(parse(":8080"), Ok(ListenAddr { host: None, port: 8080 }));
    assert_eq!(parse(":0").unwrap().candidates(), ["[::]:0", "0.0.0.0:0"]);
    assert_eq!(parse("[::1]:1").unwrap().candidates(), ["[::1]:1"]);
    assert_eq!(parse("Localhost:1").unwrap().to_string(), "localhost:1");
    for (written, loopback) in [
        ("127.0.0.9:1", true),
        ("localhost:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        (":1", false),
        ("0.0.0.0:1", false),
    ] {
        assert_eq!(parse(written).unwrap().is_loopback(), loopback, "{written}");
    }
    for bad in ["8080", "a b:1", "host:", "::1:80", ":65536", ":+1", "1.2.3:1", "http://x:1", "[1.2.3.4]:1"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn networks_contain_their_addresses_only() {
    let contains = |network: &str, address: &str| {
        Network::parse(network).unwrap().contains(address.parse::<IpAddr>().unwrap())
    };
    assert!(contains("10.0.0.0/8", "10.255.0.1"));
    assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"), "IPv4 in IPv6 clothing");
    assert!(!contains("10.0.0.0/8", "11.0.0.1"));
    assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.8"));
    assert!(contains("fd00::/8", "fd12::1") && !contains("fd00::/8", "fe80::1"));
    assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "fe80::1"));
    assert!(contains("::/0", "fe80::1") && !contains("::/0", "8.8.8.8"));
    assert_eq!(Network::parse("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
    for bad in ["10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "x", ""] {
        assert_eq!(Network::parse(bad), None, "{bad}");
    }
}

#[test]
fn base_urls_are_taken_as_written_or_refused() {
    for good in [
        "http://localhost:8080",
        "https://id.example.com",
        "https://h/auth",
        "http://[::1]:80801".trim_end_matches('1'),
    ] {
        assert_eq!(BaseUrl::parse(good).map(|url| url.to_string()), Ok(good.to_owned()));
    }
    for (bad, reason) in [
        ("https://h/", "\"https://h/\" ends with a slash"),
        ("https://h?x", "\"https://h?x\" has a query or fragment"),
        ("https://h#x", "\"https://h#x\" has a query or fragment"),
        ("https://u:s3cret@h", "contains a user name or password"),
        ("ftp://h", "\"ftp://h\" is not an http or https URL"),
        ("id.example.com", "is not a URL"),
        ("https:\\\\h", "\"https:\\\\\\\\h\" is not in its normal form"),
        ("HTTPS://H", "\"HTTPS://H\" is not in its normal form"),
        ("https://h:443", "\"https://h:443\" is not in its normal form"),
        ("https://h/a/../b", "\"https://h/a/../b\" is not in its normal form"),
    ] {
        assert_eq!(BaseUrl::parse(bad).unwrap_err().reason, reason);
    }
    assert!(BaseUrl::parse("http://127.0.0.1:1").unwrap().is_loopback());
    assert!(!BaseUrl::parse("https://localhost.example.com").unwrap().is_loopback());
}

/// S17: an allow-list, no wildcard, no null.
#[test]
fn origins_have_no_path_and_no_wildcard() {
    assert_eq!(
        url::origins(&text("https://a.example.com; http://localhost:3000")),
        Ok(vec!["https://a.example.com".to_owned(), "http://localhost:3000".to_owned()])
    );
    for bad in ["*", "null", "https://*", "https://a.example.com/path", "a.example.com"] {
        assert!(url::origins(&text(bad)).is_err(), "{bad}");
    }
}

/// S109.
#[test]
fn host_patterns_match_host_and_port_exactly() {
    let matches =
        |pattern: &str, url: &str| HostPattern::parse(pattern).unwrap().matches(&Url::parse(url).unwrap());
    assert!(matches("node1", "https://NODE1:8443/x") && matches("node1:443", "https://node1"));
    assert!(!matches("node1:443", "https://node1:8443") && !matches("node1", "https://node1.evil"));
    assert!(matches("[::1]:1", "http://[::1]:1") && !matches("node1", "https://x@node2"));
    for bad in ["", "a/b", "http://a", "a:b", "*", "a b"] {
        assert_eq!(HostPattern::parse(bad), None, "{bad}");
    }
}

#[test]
fn pem_is_a_path_or_the_text_itself() {
    const CERT: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.crt");
    std::fs::write(&path, CERT).unwrap();
    let from_file = pem::certificates(&text(path.to_str().unwrap())).unwrap();
    assert_eq!(from_file.text.expose(), CERT);
    assert!(matches!(from_file.source, pem::PemSource::File(at) if at == path));
    let inline = pem::private_key(&text(KEY)).unwrap();
    assert_eq!(inline.text.expose(), KEY.trim());
    assert_eq!(inline.kind, PemKind::PrivateKey);
    assert!(!format!("{inline:?}").contains("planted"));
    // The wrong kind, an encrypted key, a directory, an oversized file: refused without the content.
    let encrypted = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
    std::fs::write(&path, "x".repeat((1 << 20) + 1)).unwrap();
    for (refused, reason) in [
        (pem::certificates(&text(KEY)), "the inline PEM holds no certificate in PEM form"),
        (pem::private_key(&text(CERT)), "the inline PEM holds no private key in PEM form"),
        (pem::private_key(&text(&encrypted)), "the inline PEM holds an encrypted private key"),
        (pem::certificates(&text(directory.path().to_str().unwrap())), "cannot read"),
        (pem::certificates(&text(path.to_str().unwrap())), "is larger than 1 MiB"),
    ] {
        let invalid = refused.unwrap_err();
        assert!(invalid.reason.contains(reason), "{invalid:?}");
        assert!(!format!("{invalid:?}").contains("planted"), "{invalid:?}");
    }
}

proptest! {
    #[test]
    fn addresses_are_shown_as_they_are_read(octets: [u8; 4], port: u16) {
        let [a, b, c, d] = octets;
        let written = format!("{a}.{b}.{c}.{d}:{port}");
        prop_assert_eq!(net::listen_addr(&text(&written)).unwrap().to_string(), written);
    }

    #[test]
    fn a_network_contains_exactly_what_shares_its_prefix(address: u32, other: u32, prefix in 0_u8..=32) {
        let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
        let base = std::net::Ipv4Addr::from_bits(address & mask);
        let network = Network::parse(&format!("{base}/{prefix}")).unwrap();
        let other_address = IpAddr::V4(std::net::Ipv4Addr::from_bits(other));
        prop_assert_eq!(network.contains(other_address), other & mask == address & mask);
    }

    /// S116.
    #[test]
    fn any_text_is_read_or_refused_by_every_parser(any in "[a-z0-9:/@.\\[\\]%?#=, -]{0,40}|\\PC{0,12}") {
        let raw = text(&any);
        let _ = net::listen_addr(&raw);
        let _ = net::networks(&raw);
        let _ = url::host_patterns(&raw);
        let _ = Host::parse(&any);
        let _ = dsn::Dsn::parse(&any);
        if let Ok(url) = BaseUrl::parse(&any) {
            prop_assert_eq!(url.as_str(), any);
        }
    }

    /// Spec §1 promise 6: whatever the connection URL looks like, its password is not shown.
    #[test]
    fn a_password_is_never_shown(
        user in "[a-z]{1,8}", password in "planted[a-zA-Z0-9:;$!*'()~_.-]{1,20}", host in "[a-z]{1,8}"
    ) {
        let dsn = dsn::Dsn::parse(&format!("postgres://{user}:{password}@{host}/db?sslpassword={password}")).unwrap();
        prop_assert!(!dsn.redacted().contains("planted"), "{}", dsn.redacted());
    }
}
