//! `server`: the public listener and the addresses that people and proxies use.

use super::intake::Intake;
use super::resolve::Resolved;
use super::setting::section;
use super::value::net::{self, ListenAddr, Network};
use super::value::pem::{self, Pem};
use super::value::url::{self, BaseUrl};

section! {
    /// The public listener.
    pub struct Server in "server" {
        /// Address of the public listener: host:port, or :port for every interface.
        addr: ListenAddr = Literal(":8080"), env ["SERVER_ADDR"], Public, net::listen_addr;
        /// Address under which people and applications reach the cluster (the load balancer), without a
        /// trailing slash.
        public_url: BaseUrl = Derived("http://localhost:PORT, or https with a certificate", default_public_url),
            env ["SERVER_PUBLIC_URL"], Public, url::base_url;
        /// Certificate chain of the public listener, as path or inline PEM. Without it the listener speaks
        /// plain HTTP, for a proxy that terminates TLS.
        tls_cert_file: Option<Pem> = Unset("plain HTTP"), env ["SERVER_TLS_CERT_FILE"], PathOrSecret,
            pem::certificates;
        /// Private key of the public listener, as path or inline PEM.
        tls_key_file: Option<Pem> = Unset("plain HTTP"), env ["SERVER_TLS_KEY_FILE"], PathOrSecret,
            pem::private_key;
        /// Origins that browsers may call the API from: scheme, host and port, no path, no wildcard.
        cors_allowed_origins: Vec<String> = Literal(""), env ["SERVER_CORS_ALLOWED_ORIGINS"], Public,
            url::origins;
        /// Origin of pages of the operator's own that log people in with a cookie: scheme, host and port. Browsers may call
        /// the API from it with cookies.
        ui_public_origin: Option<String> = Unset("only the pages of this server"), env ["UI_PUBLIC_ORIGIN"], Public,
            url::origin;
        /// Networks of the proxies whose X-Forwarded-For is believed. From everybody else it is ignored.
        trusted_proxies: Vec<Network> = Literal(""), env ["TRUSTED_PROXIES"], Public, net::networks;
    }
}

impl Server {
    /// Certificate and key of the public listener, when it speaks TLS itself.
    pub fn tls(&self) -> Option<(&Pem, &Pem)> {
        self.tls_cert_file.as_ref().zip(self.tls_key_file.as_ref())
    }

    /// Whether some proxy must stand in front, because the address is https and the listener is not, and none is trusted.
    pub(super) fn lacks_trusted_proxy(&self) -> bool {
        self.public_url.is_https() && self.tls().is_none() && self.trusted_proxies.is_empty()
    }

    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        const KEYS: [&str; 2] = ["server.tls_cert_file", "server.tls_key_file"];
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            intake.conflict(
                &KEYS,
                "certificate and key belong together, and one is missing",
                "set both server.tls_cert_file and server.tls_key_file, or none",
            );
        }
        if self.trusted_proxies.iter().any(Network::is_everything) {
            intake.warn(
                "server.trusted_proxies",
                "every address is trusted, so anybody can forge a client address; name the proxies",
            );
        }
        if !self.public_url.is_https() && !self.public_url.is_loopback() {
            intake.warn("server.public_url", "passwords and tokens travel in clear; use https");
        }
    }
}

fn default_public_url(resolved: &Resolved) -> Option<String> {
    let addr = net::ListenAddr::parse(&resolved.text("server.addr")?)?;
    let scheme = if resolved.given("server.tls_cert_file").is_some() { "https" } else { "http" };
    // Written in its normal form, like every base URL.
    match (scheme, addr.port) {
        ("http", 80) | ("https", 443) => Some(format!("{scheme}://localhost")),
        (_, port) => Some(format!("{scheme}://localhost:{port}")),
    }
}
