//! `hellojohn cluster certs`: a development CA and one certificate a node (spec §3.2).
//!
//! Owns the rules of those certificates: SAN is the node's name and nothing else unless asked for,
//! serverAuth and clientAuth, P-256. An existing CA in the directory is reused, so that nodes can be added
//! later. Must never print a key, nor leave one readable by others for a moment.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hellojohn_control::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use crate::domain::clock::Clock;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Validity of the CA.
const CA_VALIDITY: Duration = DAY.saturating_mul(3653);

/// Validity of a node certificate: the longest that common TLS stacks take.
const NODE_VALIDITY: Duration = DAY.saturating_mul(825);

/// Certificates begin this long before now, for machines whose clocks lag.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Most names in one call.
const MAX_NODES: usize = 100;

const CA_CERT: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";

/// How certificates are made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Replace certificates of the named nodes that exist. The CA is never replaced.
    pub overwrite: bool,
    /// DNS names beside the node's own in every certificate, such as `RAFT_TLS_SERVER_NAME`.
    pub extra_sans: Vec<String>,
}

/// Why certificates were not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A node or extra name that no certificate or file can carry.
    #[error("{name:?} cannot be a certificate's name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file is there already.
    #[error("{} exists; remove it or ask to overwrite", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The CA in the directory cannot be used.
    #[error("the CA in {}: {reason}", .dir.display())]
    Ca {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The certificate could not be made.
    #[error("certificate of {name}: {source}")]
    Certificate {
        /// For whom.
        name: String,
        /// What happened.
        source: rcgen::Error,
    },
}

/// Makes a certificate and key for each of `nodes` in `dir`, and a CA if there is none. Nothing is written
/// if any of the files exists and may not be overwritten. Returns the files written.
pub fn generate(
    dir: &Path,
    nodes: &[String],
    options: &Options,
    clock: &dyn Clock,
) -> Result<Vec<PathBuf>, Error> {
    check_names(nodes, &options.extra_sans)?;
    if !options.overwrite {
        for name in nodes.iter().flat_map(|node| files_of(node)) {
            refuse_existing(&dir.join(name))?;
        }
    }
    std::fs::create_dir_all(dir).map_err(|source| Error::Io { path: dir.to_owned(), source })?;

    let now = clock.now();
    let mut written = Vec::new();
    let issuer = match existing_ca(dir)? {
        Some(issuer) => issuer,
        None => new_ca(dir, now, &mut written)?,
    };
    for node in nodes {
        let failed = |source| Error::Certificate { name: node.clone(), source };
        let key = KeyPair::generate().map_err(failed)?;
        let params = node_params(node, &options.extra_sans, now).map_err(failed)?;
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        let [cert_file, key_file] = files_of(node);
        let place = if options.overwrite { Place::Replace } else { Place::New };
        write(dir, &key_file, &key.serialize_pem(), Reader::Owner, place, &mut written)?;
        write(dir, &cert_file, &certificate.pem(), Reader::Anybody, place, &mut written)?;
    }
    sync_dir(dir)?;
    Ok(written)
}

fn files_of(node: &str) -> [String; 2] {
    [format!("{node}.pem"), format!("{node}-key.pem")]
}

/// A node name becomes a SAN and a file name, and two nodes must not share a file (`a-key` and the key of
/// `a`, or `ca`).
fn check_names(nodes: &[String], extra_sans: &[String]) -> Result<(), Error> {
    let refused = |name: &str, reason| Err(Error::Name { name: name.to_owned(), reason });
    if nodes.len() > MAX_NODES || extra_sans.len() > MAX_NODES {
        return refused("…", "more than 100 names in one call");
    }
    for name in nodes.iter().chain(extra_sans) {
        if DnsName::try_from(name.as_str()).is_err() {
            return refused(name, "not a DNS name");
        }
    }
    let mut files = BTreeSet::from([CA_CERT.to_owned(), CA_KEY.to_owned()]);
    for node in nodes {
        for file in files_of(node) {
            if !files.insert(file) {
                return refused(node, "its files would be those of another node or of the CA");
            }
        }
    }
    Ok(())
}

fn new_ca(dir: &Path, now: Timestamp, written: &mut Vec<PathBuf>) -> Result<Issuer<'static, KeyPair>, Error> {
    let failed = |source| Error::Certificate { name: "the CA".to_owned(), source };
    let mut params = CertificateParams::default();
    params.distinguished_name = named("hellojohn development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, CA_VALIDITY);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    // The key first: a certificate without its key would be taken for a CA kept elsewhere.
    write(dir, CA_KEY, &key.serialize_pem(), Reader::Owner, Place::New, written)?;
    write(dir, CA_CERT, &certificate.pem(), Reader::Anybody, Place::New, written)?;
    Ok(Issuer::new(params, key))
}

fn existing_ca(dir: &Path) -> Result<Option<Issuer<'static, KeyPair>>, Error> {
    let refused = |reason: String| Error::Ca { dir: dir.to_owned(), reason };
    let (cert, key) = match (read(&dir.join(CA_CERT))?, read(&dir.join(CA_KEY))?) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(refused(format!(
                "{CA_KEY} is missing; nodes can only be added where the CA's key is"
            )));
        }
        (None, Some(_)) => return Err(refused(format!("{CA_CERT} is missing beside {CA_KEY}"))),
        (Some(cert), Some(key)) => (cert, key),
    };
    let der = CertificateDer::from_pem_slice(cert.as_bytes())
        .map_err(|error| refused(format!("{CA_CERT} is not a certificate ({error})")))?;
    let secret = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| refused(format!("{CA_KEY} is not a private key ({error})")))?;
    CertifiedKey::from_der(vec![der.clone()], secret, &rustls::crypto::ring::default_provider())
        .map_err(|error| refused(format!("{CA_KEY} is not the key of {CA_CERT} ({error})")))?;
    let pair = KeyPair::from_pem(&key).map_err(|error| refused(format!("{CA_KEY}: {error}")))?;
    let issuer =
        Issuer::from_ca_cert_der(&der, pair).map_err(|error| refused(format!("{CA_CERT}: {error}")))?;
    Ok(Some(issuer))
}

fn node_params(node: &str, extra_sans: &[String], now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let names: BTreeSet<&str> = std::iter::once(node).chain(extra_sans.iter().map(String::as_str)).collect();
    let mut params = CertificateParams::new(names.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    params.distinguished_name = named(node);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, NODE_VALIDITY);
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn validity(now: Timestamp, lasts: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::seconds(now.secs()));
    (now - BACKDATED, now + lasts)
}

/// Who may read a file.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Owner,
    Anybody,
}

/// Whether a file may take the place of another.
#[derive(Debug, Clone, Copy)]
enum Place {
    New,
    Replace,
}

/// Writes beside and renames, so that a file is whole, durable and never readable by more than `reader`.
fn write(
    dir: &Path,
    name: &str,
    text: &str,
    reader: Reader,
    place: Place,
    written: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let path = dir.join(name);
    let failed = |source| Error::Io { path: path.clone(), source };
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    match reader {
        Reader::Owner => {}
        Reader::Anybody => {
            file.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
        }
    }
    file.as_file().sync_all().map_err(failed)?;
    let persisted = match place {
        Place::New => file.persist_noclobber(&path),
        Place::Replace => file.persist(&path),
    };
    match persisted {
        Ok(_) => {
            written.push(path);
            Ok(())
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Exists { path }),
        Err(error) => Err(failed(error.error)),
    }
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    match path.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::Exists { path: path.to_owned() }),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    std::fs::File::open(dir)
        .and_then(|opened| opened.sync_all())
        .map_err(|source| Error::Io { path: dir.to_owned(), source })
}

#[cfg(test)]
mod tests;
