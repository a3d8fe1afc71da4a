//! Mutual TLS bound to node names (spec §3.2): this node's certificate, and the checks of the other's.
//!
//! Owns the rules: TLS 1.3 only, ring, both sides present a certificate of the cluster's CA, no session
//! resumption (a resumed session would skip the certificate checks), and the certificate names the node
//! exactly: a wildcard would let one node speak for all. Must never log or print key material.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hellojohn_control::Timestamp;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

use super::hello::Refusal;

/// Application protocol of TLS: a connection for another service is not taken for a peer.
const ALPN: &[u8] = b"hellojohn-peer/1";

/// OIDs 1.3.6.1.5.5.7.3.1 and .2 of RFC 5280 §4.2.1.12, as DER content.
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// Certificates accepted in one PEM, so that a wrong file cannot fill memory.
const MAX_CERTIFICATES: usize = 16;

/// Why TLS material cannot be used. Each text names the setting at fault and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// `RAFT_TLS_CERT`: unreadable, expired, not of the CA, or not for its purpose.
    #[error("RAFT_TLS_CERT: {0}")]
    Certificate(String),
    /// `RAFT_TLS_KEY`: unreadable or of another certificate.
    #[error("RAFT_TLS_KEY: {0}")]
    Key(String),
    /// `RAFT_TLS_CA`: unreadable, expired or not a CA.
    #[error("RAFT_TLS_CA: {0}")]
    Ca(String),
    /// A node name, or `RAFT_TLS_SERVER_NAME`, that no certificate can carry as DNS name.
    #[error(
        "{name:?} is not a DNS name, so no certificate can carry it; rename the node or set RAFT_TLS_SERVER_NAME"
    )]
    Name {
        /// The name.
        name: String,
    },
}

/// A certificate with its key and CA, checked, ready for connections in both directions.
pub struct TlsMaterial {
    leaf: CertificateDer<'static>,
    not_after: Timestamp,
    roots: Arc<RootCertStore>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMaterial")
            .field("names", &self.names())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl TlsMaterial {
    /// Parses PEM texts: the certificate with any intermediates, its private key, and one or more CA
    /// certificates (two while the CA rotates). `now` decides what has expired.
    pub fn parse(cert_pem: &[u8], key_pem: &[u8], ca_pem: &[u8], now: Timestamp) -> Result<Self, TlsError> {
        let now = unix_time(now);
        let chain = certificates(cert_pem).map_err(TlsError::Certificate)?;
        let authorities = certificates(ca_pem).map_err(TlsError::Ca)?;
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            check_authority(authority, now).map_err(TlsError::Ca)?;
            roots.add(authority.clone()).map_err(|error| TlsError::Ca(error.to_string()))?;
        }
        let (leaf, intermediates) =
            chain.split_first().ok_or_else(|| TlsError::Certificate("no certificate in it".to_owned()))?;
        let leaf = leaf.clone();
        check_leaf(&leaf, intermediates, &roots, now).map_err(TlsError::Certificate)?;
        let not_after = not_after(&leaf, &roots).map_err(TlsError::Certificate)?;

        let provider = Arc::new(ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| TlsError::Key(format!("no private key could be read from the PEM ({error})")))?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            TlsError::Key(format!("not the private key of RAFT_TLS_CERT, or of an unknown kind ({error})"))
        })?;
        let identity = Arc::new(SingleCertAndKey::from(certified));
        let roots = Arc::new(roots);
        let (server, client) = configs(&provider, Arc::clone(&roots), &identity)
            .map_err(|error| TlsError::Ca(error.to_string()))?;
        Ok(Self { leaf, not_after, roots, server, client })
    }

    /// When the own certificate expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    fn names(&self) -> Vec<String> {
        EndEntityCert::try_from(&self.leaf)
            .map(|cert| cert.valid_dns_names().map(str::to_owned).collect())
            .unwrap_or_default()
    }
}

/// The TLS identity of this node. Material is swapped without a restart; connections made with older
/// material are replaced by the side that dialled before its next request.
#[derive(Debug)]
pub struct PeerTls {
    node: String,
    server_name: Option<String>,
    material: ArcSwap<TlsMaterial>,
}

impl PeerTls {
    /// The identity of `node` (`NODE_ID`). `server_name` (`RAFT_TLS_SERVER_NAME`) is the one name that
    /// every node's certificate carries instead of its own.
    pub fn new(material: TlsMaterial, node: &str, server_name: Option<&str>) -> Result<Self, TlsError> {
        let tls = Self {
            node: node.to_owned(),
            server_name: server_name.map(str::to_owned),
            material: ArcSwap::from_pointee(material),
        };
        tls.check_own(&tls.material.load())?;
        Ok(tls)
    }

    /// Uses `material` from now on; on an error the old one stays.
    pub fn swap(&self, material: TlsMaterial) -> Result<(), TlsError> {
        self.check_own(&material)?;
        self.material.store(Arc::new(material));
        Ok(())
    }

    /// Checks that the node `name` can be dialled at all, for start-up.
    pub fn check_name(&self, name: &str) -> Result<(), TlsError> {
        self.expected(name).map(drop)
    }

    /// When the certificate in use expires.
    pub fn not_after(&self) -> Timestamp {
        self.material.load().not_after
    }

    pub(super) fn material(&self) -> Arc<TlsMaterial> {
        self.material.load_full()
    }

    /// The name to present in the handshake when dialling `node`.
    pub(super) fn dialled_name(&self, node: &str) -> Result<ServerName<'static>, TlsError> {
        self.expected(node).map(ServerName::DnsName)
    }

    /// Checks that the certificate that came with the handshake is that of the node `claimed`.
    pub(super) fn check_peer(
        &self,
        certificates: Option<&[CertificateDer<'_>]>,
        claimed: &str,
    ) -> Result<(), Refusal> {
        let mismatch = || Refusal::NameMismatch {
            claimed: claimed.to_owned(),
            expected: self.server_name.as_deref().unwrap_or(claimed).to_owned(),
        };
        let leaf = certificates.and_then(<[_]>::first).ok_or_else(mismatch)?;
        let expected = self.expected(claimed).map_err(|_| mismatch())?;
        if names_exactly(leaf, &expected) { Ok(()) } else { Err(mismatch()) }
    }

    fn check_own(&self, material: &TlsMaterial) -> Result<(), TlsError> {
        let expected = self.expected(&self.node)?;
        if names_exactly(&material.leaf, &expected) {
            return Ok(());
        }
        Err(TlsError::Certificate(format!(
            "the certificate must carry SAN DNS:{}, but it has {:?}; issue one for this node or set RAFT_TLS_SERVER_NAME",
            expected.as_ref(),
            material.names()
        )))
    }

    fn expected(&self, node: &str) -> Result<DnsName<'static>, TlsError> {
        let name = self.server_name.as_deref().unwrap_or(node);
        DnsName::try_from(name.to_owned()).map_err(|_| TlsError::Name { name: name.to_owned() })
    }
}

impl TlsMaterial {
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Whether this chain, the end entity's certificate first, is valid now and of a CA in use here.
    pub(super) fn issued(&self, chain: &[CertificateDer<'_>]) -> bool {
        chain.split_first().is_some_and(|(leaf, intermediates)| {
            verify(leaf, intermediates, &self.roots, UnixTime::now()).is_ok()
        })
    }

    pub(super) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }
}

/// webpki's rules for the name, and beyond them no wildcard.
fn names_exactly(leaf: &CertificateDer<'_>, name: &DnsName<'static>) -> bool {
    EndEntityCert::try_from(leaf).is_ok_and(|cert| {
        cert.verify_is_valid_for_subject_name(&ServerName::DnsName(name.clone())).is_ok()
            && cert.valid_dns_names().any(|san| san.eq_ignore_ascii_case(name.as_ref()))
    })
}

fn configs(
    provider: &Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    identity: &Arc<SingleCertAndKey>,
) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), Box<dyn std::error::Error>> {
    let of_clients =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider)).build()?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(of_clients)
        .with_cert_resolver(Arc::clone(identity) as _);
    server.alpn_protocols = vec![ALPN.to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;

    let of_servers = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()?;
    let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_webpki_verifier(of_servers)
        .with_client_cert_resolver(Arc::clone(identity) as _);
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = Resumption::disabled();
    Ok((Arc::new(server), Arc::new(client)))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .take(MAX_CERTIFICATES + 1)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not readable as PEM ({error})"))?;
    match found.len() {
        0 => Err("no CERTIFICATE section in the PEM".to_owned()),
        1..=MAX_CERTIFICATES => Ok(found),
        _ => Err(format!("more than {MAX_CERTIFICATES} certificates in the PEM")),
    }
}

/// Verifies `certificate` as webpki would at `time`, for both directions.
fn verify(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    time: UnixTime,
) -> Result<(), webpki::Error> {
    let cert = EndEntityCert::try_from(certificate)?;
    for purpose in [SERVER_AUTH, CLIENT_AUTH] {
        cert.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &roots.roots,
            intermediates,
            time,
            KeyUsage::required(purpose),
            None,
            None,
        )?;
    }
    Ok(())
}

fn check_leaf(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
) -> Result<(), String> {
    verify(leaf, intermediates, roots, now).map_err(|error| match error {
        webpki::Error::CertExpired { not_after, .. } => {
            format!("the certificate expired at {} seconds since 1970; renew it", not_after.as_secs())
        }
        webpki::Error::CertNotValidYet { not_before, .. } => format!(
            "the certificate is valid only from {} seconds since 1970; check the clock of this machine",
            not_before.as_secs()
        ),
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            "the certificate lacks extended key usage serverAuth or clientAuth; a node needs both".to_owned()
        }
        // The second is an issuer of the same name with another key.
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            "the certificate was not issued by RAFT_TLS_CA".to_owned()
        }
        webpki::Error::CaUsedAsEndEntity => {
            "this is a CA certificate; put the node's own certificate first".to_owned()
        }
        other => other.to_string(),
    })
}

/// webpki checks validity and basic constraints before it looks for an issuer, so that a CA certificate
/// given as an end entity shows itself by exactly one error.
fn check_authority(authority: &CertificateDer<'_>, now: UnixTime) -> Result<(), String> {
    match verify(authority, &[], &RootCertStore::empty(), now) {
        Err(webpki::Error::CaUsedAsEndEntity) => Ok(()),
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Err(format!("a CA certificate expired at {} seconds since 1970; replace it", not_after.as_secs()))
        }
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => Err(format!(
            "a CA certificate is valid only from {} seconds since 1970; check the clock of this machine",
            not_before.as_secs()
        )),
        Err(webpki::Error::BadDer) => Err("a certificate in it cannot be parsed".to_owned()),
        Ok(()) | Err(_) => Err("a certificate in it is not a CA (basicConstraints CA:TRUE)".to_owned()),
    }
}

/// webpki tells the end of validity only in its refusal; at the end of time everything has expired.
fn not_after(leaf: &CertificateDer<'_>, roots: &RootCertStore) -> Result<Timestamp, String> {
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    match verify(leaf, &[], roots, end_of_time) {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Ok(Timestamp::from_secs(i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX)))
        }
        Ok(()) | Err(_) => Err("its end of validity cannot be read".to_owned()),
    }
}

fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0)))
}
