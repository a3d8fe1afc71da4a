//! Certificates and keys, given as a path or as inline PEM text.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Invalid, path, quoted};
use crate::config::secret::Secret;
use crate::config::setting::{PEM_MARK, Raw};

/// Largest PEM file that is read, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// Where PEM text is; a value that contains `-----BEGIN` is the text itself (spec §3.1).
#[derive(Debug, Clone)]
pub enum PemSource {
    /// The setting holds the text.
    Inline(Secret),
    /// The setting names a file, which may be replaced while the process runs.
    File(PathBuf),
}

/// What a PEM text must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemKind {
    /// One or more certificates.
    Certificates,
    /// An unencrypted private key.
    PrivateKey,
}

/// PEM text that was read and looks like what it should be.
#[derive(Debug, Clone)]
pub struct Pem {
    /// The text as it was at load time.
    pub text: Secret,
    /// Where it came from, to read it again when certificates rotate.
    pub source: PemSource,
    /// What it must hold, also after a rotation.
    pub kind: PemKind,
}

impl PemSource {
    /// Reads the text and checks that it holds blocks of `kind`. The blocks are not decoded here.
    pub fn load(&self, kind: PemKind) -> Result<Pem, Invalid> {
        let text = match self {
            PemSource::Inline(text) => text.clone(),
            PemSource::File(path) => read(path)?,
        };
        let mark = match kind {
            PemKind::Certificates => "-----BEGIN CERTIFICATE-----",
            PemKind::PrivateKey => "PRIVATE KEY-----",
        };
        if text.expose().contains("-----BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(Invalid::new(
                format!("{} holds an encrypted private key", self.place()),
                "give it without a passphrase, readable by this process only",
            ));
        }
        if !text.expose().contains(mark) {
            let wanted = match kind {
                PemKind::Certificates => "certificate",
                PemKind::PrivateKey => "private key",
            };
            return Err(Invalid::new(
                format!("{} holds no {wanted} in PEM form", self.place()),
                format!("give the {wanted} as path of a PEM file or as PEM text"),
            ));
        }
        Ok(Pem { text, source: self.clone(), kind })
    }

    fn place(&self) -> String {
        match self {
            PemSource::Inline(_) => "the inline PEM".to_owned(),
            PemSource::File(path) => quoted(&path.to_string_lossy()),
        }
    }
}

fn read(path: &Path) -> Result<Secret, Invalid> {
    let shown = quoted(&path.to_string_lossy());
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_PEM + 1).read_to_string(&mut text));
    let text = Secret::new(text);
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= MAX_PEM) => Ok(text),
        Ok(_) => Err(Invalid::new(format!("{shown} is larger than 1 MiB"), "give a PEM file")),
        Err(error) => Err(Invalid::new(
            format!("cannot read {shown}: {error}"),
            "give the path of a PEM file that this process may read",
        )),
    }
}

/// A path or inline PEM; nothing is read yet.
pub(in crate::config) fn source(raw: &Raw) -> Result<PemSource, Invalid> {
    // Inline text keeps its line breaks, so the surrounding spaces are all that may go.
    let text = raw.text()?;
    if text.contains(PEM_MARK) {
        return Ok(PemSource::Inline(Secret::new(text)));
    }
    path(raw).map(PemSource::File)
}

/// Certificates, read at once.
pub(in crate::config) fn certificates(raw: &Raw) -> Result<Pem, Invalid> {
    source(raw)?.load(PemKind::Certificates)
}

/// A private key, read at once.
pub(in crate::config) fn private_key(raw: &Raw) -> Result<Pem, Invalid> {
    source(raw)?.load(PemKind::PrivateKey)
}
