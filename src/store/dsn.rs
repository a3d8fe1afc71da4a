//! The address of a database with its password: a secret, parsed by ourselves.
//!
//! Owns which parts a DSN may have. The driver would fill what is missing from `PG*` variables and `~/.pgpass`
//! of the process, and log what it does not know together with its value; for the DSN of a tenant the first
//! would send the operator's password to a tenant's server, and the second would log a misspelt password.

use std::fmt;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;
use zeroize::Zeroizing;

/// Longest DSN in bytes.
const MAX_BYTES: usize = 4096;

/// The address of a database. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Dsn {
    text: Zeroizing<String>,
    options: PgConnectOptions,
}

/// Identifies a DSN without telling it; only for comparing within this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// Why a text is not a DSN that we accept. Names the part, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDsn {
    /// Not a URL at all, or longer than 4,096 bytes.
    #[error("the DSN must be a URL such as postgres://user:password@host:5432/database?sslmode=verify-full")]
    NotAUrl,
    /// Another scheme.
    #[error("the DSN must begin with postgres:// or postgresql://")]
    Scheme,
    /// A part that must be there is missing.
    #[error("the DSN names no {0}")]
    Missing(&'static str),
    /// A part cannot be understood.
    #[error("the DSN has an unusable {0}")]
    Unusable(&'static str),
    /// A parameter that we do not know; ignoring it could switch off what it asks for.
    #[error("the DSN has the unknown parameter {0:?}; known are {KNOWN}")]
    UnknownParameter(String),
}

const KNOWN: &str = "host, port, user, password, dbname, sslmode, sslrootcert, sslcert and sslkey";

/// The parts of a DSN before they become options.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Zeroizing<String>>,
    database: Option<String>,
    ssl_mode: Option<PgSslMode>,
    ssl_root_cert: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
}

impl Dsn {
    /// Parses a `postgres://` URL. A host that begins with `/` is the directory of a Unix socket.
    pub fn parse(text: &str) -> Result<Self, InvalidDsn> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err(InvalidDsn::NotAUrl);
        }
        let url = Url::parse(text).map_err(|_| InvalidDsn::NotAUrl)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(InvalidDsn::Scheme);
        }
        let options = Parts::of(&url)?.into_options()?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), options })
    }

    /// The DSN in clear, for sealing it. Nothing else may call this.
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.text.as_bytes()).into())
    }
}

impl Parts {
    fn of(url: &Url) -> Result<Self, InvalidDsn> {
        let mut parts = Self { port: url.port(), ..Self::default() };
        parts.host =
            url.host_str().filter(|host| !host.is_empty()).map(|host| decoded(host, "host")).transpose()?;
        if !url.username().is_empty() {
            parts.user = Some(decoded(url.username(), "user")?);
        }
        parts.password = url.password().map(|p| decoded(p, "password")).transpose()?.map(Zeroizing::new);
        let path = url.path().trim_start_matches('/');
        if !path.is_empty() {
            parts.database = Some(decoded(path, "database")?);
        }
        for (key, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*key {
                "host" => parts.host = Some(value),
                "port" => parts.port = Some(value.parse().map_err(|_| InvalidDsn::Unusable("port"))?),
                "user" => parts.user = Some(value),
                "password" => parts.password = Some(Zeroizing::new(value)),
                "dbname" => parts.database = Some(value),
                "sslmode" => parts.ssl_mode = Some(ssl_mode(&value)?),
                "sslrootcert" => parts.ssl_root_cert = Some(value),
                "sslcert" => parts.ssl_cert = Some(value),
                "sslkey" => parts.ssl_key = Some(value),
                _ => return Err(InvalidDsn::UnknownParameter(key.chars().take(64).collect())),
            }
        }
        Ok(parts)
    }

    fn into_options(self) -> Result<PgConnectOptions, InvalidDsn> {
        let host = self.host.ok_or(InvalidDsn::Missing("host"))?;
        // Every part that the driver would look up elsewhere is set here, the empty password included.
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(self.port.unwrap_or(5432))
            .username(&self.user.ok_or(InvalidDsn::Missing("user"))?)
            .password(self.password.as_deref().map_or("", String::as_str))
            .database(&self.database.ok_or(InvalidDsn::Missing("database"))?)
            .ssl_mode(self.ssl_mode.unwrap_or(PgSslMode::Prefer))
            .application_name("hellojohn");
        options = if host.starts_with('/') { options.socket(Path::new(&host)) } else { options.host(&host) };
        if let Some(path) = self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        if let Some(path) = self.ssl_cert {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = self.ssl_key {
            options = options.ssl_client_key(path);
        }
        Ok(options)
    }
}

/// `allow` is left out: the driver takes it for `disable`.
fn ssl_mode(value: &str) -> Result<PgSslMode, InvalidDsn> {
    match value {
        "disable" => Ok(PgSslMode::Disable),
        "prefer" => Ok(PgSslMode::Prefer),
        "require" => Ok(PgSslMode::Require),
        "verify-ca" => Ok(PgSslMode::VerifyCa),
        "verify-full" => Ok(PgSslMode::VerifyFull),
        _ => Err(InvalidDsn::Unusable("sslmode (disable, prefer, require, verify-ca, verify-full)")),
    }
}

/// Undoes percent encoding.
fn decoded(text: &str, part: &'static str) -> Result<String, InvalidDsn> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err(InvalidDsn::Unusable(part)) };
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| InvalidDsn::Unusable(part))?);
        } else {
            bytes.push(byte);
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) | Err(_) => Err(InvalidDsn::Unusable(part)),
    }
}

impl PartialEq for Dsn {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl Eq for Dsn {}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dsn(..)")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn reads_every_part_of_a_url() {
        let dsn = Dsn::parse("postgres://us%40er:p%2Fw@db.example:6432/na%20me?sslmode=require").unwrap();
        let options = dsn.options();
        assert_eq!(options.get_host(), "db.example");
        assert_eq!(options.get_port(), 6432);
        assert_eq!(options.get_username(), "us@er");
        assert_eq!(options.get_database(), Some("na me"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
    }

    #[test]
    fn a_host_parameter_names_a_socket_directory() {
        let dsn = Dsn::parse("postgres://postgres@localhost/app?host=/run/pg").unwrap();
        assert_eq!(dsn.options().get_socket(), Some(&PathBuf::from("/run/pg")));
        let dsn = Dsn::parse("postgresql://postgres@%2Frun%2Fpg/app").unwrap();
        assert_eq!(dsn.options().get_socket(), Some(&PathBuf::from("/run/pg")));
    }

    /// S111: an error names the part, never what stood there.
    #[test]
    fn refuses_what_it_does_not_know_without_repeating_values() {
        let cases = [
            "host=db user=app password=hunter2",
            "mysql://app:hunter2@db/app",
            "postgres://app:hunter2@db",
            "postgres://app:hunter2@/app",
            "postgres://:hunter2@db/app",
            "postgres://app:hunter2%zz@db/app",
            "postgres://app:hunter2@db/app?sslmode=hunter2",
            "postgres://app:hunter2@db/app?sslmode=allow",
            "postgres://app@db/app?pasword=hunter2",
            "postgres://app:hunter2@db/app?port=hunter2",
        ];
        for text in cases {
            let error = Dsn::parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        assert_eq!(
            Dsn::parse("postgres://app@db/app?pasword=x").unwrap_err(),
            InvalidDsn::UnknownParameter("pasword".to_owned())
        );
    }

    #[test]
    fn nothing_of_a_dsn_is_printed() {
        let dsn = Dsn::parse("postgres://app:hunter2@db/app").unwrap();
        assert_eq!(format!("{dsn:?}"), "Dsn(..)");
        assert_eq!(dsn.expose(), "postgres://app:hunter2@db/app");
    }
}
