//! TLS of the public listeners (`SERVER_TLS_CERT_FILE`, `SERVER_TLS_KEY_FILE`): rustls with ring.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::Secret;

/// Why the listener cannot speak TLS. Names the setting and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates cannot be decoded.
    #[error("SERVER_TLS_CERT_FILE: damaged PEM; give the certificate and its chain in PEM form")]
    Certificates,
    /// The key cannot be decoded.
    #[error("SERVER_TLS_KEY_FILE: damaged PEM; give the unencrypted private key in PEM form")]
    Key,
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("SERVER_TLS_CERT_FILE and SERVER_TLS_KEY_FILE do not make a usable pair: {0}")]
    Pair(#[from] rustls::Error),
}

/// TLS of a listener, whose certificate can be replaced.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

/// The certificate that is shown to whoever connects now.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ServerTls {
    /// TLS with this certificate chain and its key.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(certificates: &Secret, key: &Secret) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current(ArcSwap::from_pointee(certified(&provider, certificates, key)?)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), current })
    }

    /// For a listener.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Shows this certificate from now on; on an error the old one stays.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn renew(&self, certificates: &Secret, key: &Secret) -> Result<(), TlsError> {
        let new = certified(self.config.crypto_provider(), certificates, key)?;
        self.current.0.store(Arc::new(new));
        Ok(())
    }
}

fn certified(
    provider: &CryptoProvider,
    certificates: &Secret,
    key: &Secret,
) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates.expose_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_bytes()).map_err(|_| TlsError::Key)?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting_and_never_show_the_key() {
        let ours = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());
        let made = |cert: &str, key: &str| {
            ServerTls::new(&Secret::new(cert), &Secret::new(key)).map_err(|error| error.to_string())
        };
        assert!(made(&cert, &key).is_ok());
        let damaged = cert.replacen("\n", "\n!", 1);
        assert!(made(&damaged, &key).unwrap_err().starts_with("SERVER_TLS_CERT_FILE"));
        let damaged = key.replacen("\n", "\n!", 1);
        assert!(made(&cert, &damaged).unwrap_err().starts_with("SERVER_TLS_KEY_FILE"));
        let error = made(&cert, &other.signing_key.serialize_pem()).unwrap_err();
        assert!(error.contains("do not make a usable pair"), "{error}");

        let tls = ServerTls::new(&Secret::new(&cert), &Secret::new(&key)).unwrap();
        let shown = || tls.current.0.load().cert[0].to_vec();
        let (new_cert, new_key) = (other.cert.pem(), other.signing_key.serialize_pem());
        assert!(tls.renew(&Secret::new(&new_cert), &Secret::new(&key)).is_err());
        assert_eq!(shown(), ours.cert.der().to_vec(), "what cannot be used changes nothing");
        tls.renew(&Secret::new(&new_cert), &Secret::new(&new_key)).unwrap();
        assert_eq!(shown(), other.cert.der().to_vec());
    }
}
