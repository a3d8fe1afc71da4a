//! Where credentials may go (S109).

use super::error::{ApiError, Refusal};
use crate::config::value::net::Host;
use crate::config::value::url::{BaseUrl, HostPattern};

/// The hosts that a call may be sent on to with its credentials: those that the caller listed, and the host
/// of the address that the caller gave, on any port.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    own: BaseUrl,
    listed: Vec<HostPattern>,
}

impl AllowedHosts {
    /// The host of `own`, and `listed`.
    pub fn new(own: BaseUrl, listed: Vec<HostPattern>) -> Self {
        Self { own, listed }
    }

    /// The leader's address, where the node at `asked` named an allowed one.
    pub(super) fn leader(&self, asked: &BaseUrl, refusal: &Refusal) -> Result<BaseUrl, ApiError> {
        let Some(text) = &refusal.leader_url else {
            return Err(ApiError::LeaderWithoutAddress {
                asked: asked.as_str().to_owned(),
                leader: refusal.leader.clone().unwrap_or_else(|| "(not named)".to_owned()),
            });
        };
        let url = BaseUrl::parse(text)
            .map_err(|_| ApiError::Strange(format!("{asked} names no address of the leader")))?;
        // The own address counts too: a chain of nodes must not lead from https to http in two steps.
        if !url.is_https() && (asked.is_https() || self.own.is_https()) {
            return Err(ApiError::LeaderNotAllowed { url: url.as_str().to_owned(), host: String::new() });
        }
        if self.allows(&url) {
            return Ok(url);
        }
        let host = url.url().host_str().unwrap_or_default().to_owned();
        Err(ApiError::LeaderNotAllowed { url: url.as_str().to_owned(), host })
    }

    fn allows(&self, url: &BaseUrl) -> bool {
        let host = |url: &BaseUrl| url.url().host_str().and_then(Host::parse);
        let same = host(url).is_some() && host(url) == host(&self.own);
        // The names of this machine are one host.
        same || (url.is_loopback() && self.own.is_loopback())
            || self.listed.iter().any(|pattern| pattern.matches(url.url()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(own: &str, listed: &[&str], url: &str) -> Result<String, ApiError> {
        let own = BaseUrl::parse(own).unwrap();
        let listed = listed.iter().map(|text| HostPattern::parse(text).unwrap()).collect();
        let hosts = AllowedHosts::new(own.clone(), listed);
        let refusal = Refusal { leader_url: Some(url.to_owned()), ..Refusal::default() };
        hosts.leader(&own, &refusal).map(|url| url.as_str().to_owned())
    }

    /// S109
    #[test]
    fn credentials_go_to_the_own_host_and_to_listed_ones() {
        for (own, listed, url) in [
            ("http://localhost:8081", &[][..], "http://localhost:8082"),
            ("http://localhost:8081", &[], "http://127.0.0.1:8082"),
            ("https://id.example.com", &["node2.example.com"], "https://node2.example.com:8443"),
            ("https://id.example.com", &["node2.example.com:8443"], "https://node2.example.com:8443"),
            ("http://10.0.0.1:8080", &["10.0.0.2"], "https://10.0.0.2"),
        ] {
            assert_eq!(leader(own, listed, url).as_deref(), Ok(url), "{own}");
        }
    }

    /// S109
    #[test]
    fn other_hosts_and_a_step_down_from_https_are_refused() {
        for (own, listed, url, host) in [
            ("http://localhost:8081", &[][..], "http://evil.example", "evil.example"),
            (
                "https://id.example.com",
                &["node2.example.com"],
                "https://node3.example.com",
                "node3.example.com",
            ),
            (
                "https://id.example.com",
                &["node2.example.com:8443"],
                "https://node2.example.com",
                "node2.example.com",
            ),
            (
                "https://id.example.com",
                &[],
                "https://id.example.com.evil.example",
                "id.example.com.evil.example",
            ),
            ("https://id.example.com", &[], "http://id.example.com", ""),
        ] {
            let refused = ApiError::LeaderNotAllowed { url: url.to_owned(), host: host.to_owned() };
            assert_eq!(leader(own, listed, url), Err(refused));
        }
        for url in ["https://id.example.com/../x", "//evil.example", "https://u:p@id.example.com", "nonsense"]
        {
            assert!(matches!(leader("https://id.example.com", &[], url), Err(ApiError::Strange(_))), "{url}");
        }
    }
}
