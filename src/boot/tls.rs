//! TLS of the public listeners (`SERVER_TLS_CERT_FILE`, `SERVER_TLS_KEY_FILE`): rustls with ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why the listener cannot speak TLS. Names the setting, the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{setting}: cannot read {}: {source}", path.display())]
    Read {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds nothing usable.
    #[error("{setting}: {} holds no {wanted} in PEM form", path.display())]
    Empty {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("SERVER_TLS_CERT_FILE and SERVER_TLS_KEY_FILE do not make a usable pair: {0}")]
    Pair(#[from] rustls::Error),
}

/// Reads the certificate chain and its key.
///
/// # Errors
/// See [`TlsError`].
pub fn server_config(cert_file: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    const CERT: &str = "SERVER_TLS_CERT_FILE";
    const KEY: &str = "SERVER_TLS_KEY_FILE";
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(CERT, cert_file)?)
        .collect::<Result<_, _>>()
        .ok()
        .filter(|chain: &Vec<_>| !chain.is_empty())
        .ok_or_else(|| TlsError::Empty {
            setting: CERT,
            path: cert_file.to_owned(),
            wanted: "certificate",
        })?;
    let key = PrivateKeyDer::from_pem_slice(&read(KEY, key_file)?).map_err(|_| TlsError::Empty {
        setting: KEY,
        path: key_file.to_owned(),
        wanted: "private key",
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { setting, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_setting_and_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let text = || server_config(&cert, &key).unwrap_err().to_string();
        assert!(text().starts_with("SERVER_TLS_CERT_FILE: cannot read") && text().contains("c.pem"));
        std::fs::write(&cert, "nothing").unwrap();
        assert!(text().contains("holds no certificate"), "{}", text());

        let ours = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, ours.cert.pem()).unwrap();
        assert!(text().starts_with("SERVER_TLS_KEY_FILE: cannot read"), "{}", text());
        std::fs::write(&key, ours.cert.pem()).unwrap();
        assert!(text().contains("holds no private key"), "{}", text());
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(text().contains("do not make a usable pair"), "{}", text());
        std::fs::write(&key, ours.signing_key.serialize_pem()).unwrap();
        assert!(server_config(&cert, &key).is_ok());
    }
}
