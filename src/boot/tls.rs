//! TLS of the public listeners (`SERVER_TLS_CERT_FILE`, `SERVER_TLS_KEY_FILE`): rustls with ring.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::value::pem::Pem;

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

/// TLS with this certificate chain and its key.
///
/// # Errors
/// See [`TlsError`].
pub fn server_config(certificates: &Pem, key: &Pem) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificates.text.expose_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::Certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key.text.expose_bytes()).map_err(|_| TlsError::Key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::config::value::pem::{PemKind, PemSource};

    fn pem(text: &str, kind: PemKind) -> Pem {
        PemSource::Inline(Secret::new(text)).load(kind).unwrap()
    }

    #[test]
    fn errors_name_the_setting_and_never_show_the_key() {
        let ours = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());
        let made = |cert: &str, key: &str| {
            server_config(&pem(cert, PemKind::Certificates), &pem(key, PemKind::PrivateKey))
                .map_err(|error| error.to_string())
        };
        assert!(made(&cert, &key).is_ok());
        let damaged = cert.replacen("\n", "\n!", 1);
        assert!(made(&damaged, &key).unwrap_err().starts_with("SERVER_TLS_CERT_FILE"));
        let damaged = key.replacen("\n", "\n!", 1);
        assert!(made(&cert, &damaged).unwrap_err().starts_with("SERVER_TLS_KEY_FILE"));
        let error = made(&cert, &other.signing_key.serialize_pem()).unwrap_err();
        assert!(error.contains("do not make a usable pair"), "{error}");
    }
}
