//! Whether an authorization response may go where a request asks for (S01, S02).

use super::uri::Uri;
use crate::limits;

/// Whether `presented` is the `registered` redirect URI: the same string, byte for byte (RFC 9700 §2.1). For `http` on
/// `127.0.0.1`, `[::1]` and `localhost` the port may be another, because an application on a person's own machine takes
/// whichever is free (RFC 8252 §7.3). That is for public clients alone; see [`crate::documents::Client::allows_redirect_uri`].
pub fn redirect_uri_matches(registered: &str, presented: &str) -> bool {
    if registered == presented {
        return true;
    }
    match (loopback(registered), loopback(presented)) {
        (Some(registered), Some(presented)) => registered == presented,
        _ => false,
    }
}

/// The host of a loopback address as it is written, and what follows the port.
fn loopback(text: &str) -> Option<(&'static str, &str)> {
    if text.len() > limits::URL {
        return None;
    }
    let host = ["http://127.0.0.1", "http://[::1]", "http://localhost"].into_iter().find(|host| {
        text.strip_prefix(host).is_some_and(|after| after.is_empty() || after.starts_with([':', '/', '?']))
    })?;
    // Nothing that two parsers may read in two ways gets the benefit of the exception.
    Some((host, Uri::parse(text).ok()?.rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// S01: the same string, and nothing that is merely the same to somebody.
    #[test]
    fn redirect_uris_of_s01_match_exactly() {
        const REGISTERED: &str = "https://app.example.com/cb";
        assert!(redirect_uri_matches(REGISTERED, REGISTERED));
        for bad in [
            "https://APP.example.com/cb",
            "https://app.example.com/CB",
            "HTTPS://app.example.com/cb",
            "https://app.example.com/cb/",
            "https://app.example.com/cb?x=1",
            "https://app.example.com/cb?",
            "https://app.example.com/cb#",
            "https://app.example.com/cb#x",
            "https://app.example.com/cb/../cb",
            "https://app.example.com/./cb",
            "https://app.example.com/%63b",
            "https://app.example.com//cb",
            "https://app.example.com:443/cb",
            "https://app.example.com:8443/cb",
            "https://app.example.com./cb",
            "https://appXexample.com/cb",
            "https://evil.app.example.com/cb",
            "https://app.example.com.evil.example/cb",
            "https://app.example.com@evil.example/cb",
            "https://user@app.example.com/cb",
            "https://evil.example\\@app.example.com/cb",
            "https://app.example.com\\cb",
            "https://app.example.com/cb%00",
            "https://app.example.com/cb\n",
            " https://app.example.com/cb",
            "http://app.example.com/cb",
            "https://app.example.com",
            "",
        ] {
            assert!(!redirect_uri_matches(REGISTERED, bad), "{bad:?}");
        }
    }

    /// S02: only the port, and only on loopback.
    #[test]
    fn on_loopback_the_port_and_nothing_else_may_differ() {
        for (registered, presented) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:53682/cb"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1/cb"),
            ("http://localhost:3000/cb?x=1", "http://localhost:4000/cb?x=1"),
            ("http://[::1]/cb", "http://[::1]:65535/cb"),
            ("http://localhost", "http://localhost:8080"),
        ] {
            assert!(redirect_uri_matches(registered, presented), "{registered} {presented}");
        }
        for (registered, presented) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000/cb/"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000/CB"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000/cb?x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000/cb#x"),
            ("http://127.0.0.1/cb", "http://localhost:3000/cb"),
            ("http://localhost/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2:3000/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:@evil.example/cb"),
            ("http://localhost/cb", "http://localhost.evil.example/cb"),
            ("http://localhost/cb", "http://LOCALHOST:3000/cb"),
            ("http://localhost/cb", "https://localhost:3000/cb"),
            ("https://localhost/cb", "https://localhost:3000/cb"),
            ("http://127.0.0.2/cb", "http://127.0.0.2:3000/cb"),
            ("http://[::1]/cb", "http://[0:0:0:0:0:0:0:1]:3000/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000\\cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:3000/x/../cb"),
            ("com.example.app:/cb", "com.example.app:3000/cb"),
        ] {
            assert!(!redirect_uri_matches(registered, presented), "{registered} {presented}");
        }
    }

    fn url() -> impl Strategy<Value = String> {
        let host =
            prop::sample::select(vec!["127.0.0.1", "[::1]", "localhost", "app.example.com", "127.0.0.2"]);
        let port = prop::sample::select(vec!["", ":1", ":3000", ":0", ":", ":99999"]);
        let rest = prop::sample::select(vec![
            "",
            "/",
            "/cb",
            "/CB",
            "/cb?x=1",
            "/cb#x",
            "/a/../cb",
            "@evil.example",
        ]);
        let scheme = prop::sample::select(vec!["http", "https", "HTTP"]);
        (scheme, host, port, rest).prop_map(|(s, h, p, r)| format!("{s}://{h}{p}{r}"))
    }

    /// The address without what is between the host and the path.
    fn without_port(url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#', '@']).unwrap_or(rest.len()));
        let host = if authority.starts_with('[') {
            &authority[..=authority.find(']').unwrap()]
        } else {
            authority.split(':').next().unwrap()
        };
        format!("{scheme}://{host}{rest}")
    }

    proptest! {
        #[test]
        fn anything_matches_itself_and_text_is_no_pattern(text in "\\PC{0,80}", other in "\\PC{0,80}") {
            prop_assert!(redirect_uri_matches(&text, &text));
            prop_assert_eq!(redirect_uri_matches(&text, &other), text == other);
        }

        #[test]
        fn matching_is_symmetric_and_only_ports_of_loopback_differ(a in url(), b in url()) {
            let matches = redirect_uri_matches(&a, &b);
            prop_assert_eq!(matches, redirect_uri_matches(&b, &a));
            if matches && a != b {
                prop_assert_eq!(without_port(&a), without_port(&b));
                prop_assert!(a.starts_with("http://"), "{}", a);
                prop_assert!(!a.contains("example.com") && !a.contains("127.0.0.2"), "{}", a);
            }
        }
    }
}
