//! PostgreSQL connection URLs, shown without their password only.

use std::fmt;

use ::url::Url;

use super::Invalid;
use crate::config::secret::Secret;
use crate::config::setting::{REDACTED, Raw};

/// Query parameters that hold a secret.
const SECRET_PARAMETERS: [&str; 2] = ["password", "sslpassword"];

/// A PostgreSQL connection URL. `Debug` and `Display` show it with `***` for the password.
#[derive(Clone)]
pub struct Dsn {
    text: Secret,
    shown: String,
}

impl Dsn {
    /// Parses `postgres://user:password@host:port/database?…`; the reason never repeats the text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const REMEDY: &str = "write postgres://user:password@host:5432/database, with special characters of \
                              the password percent-encoded";
        let url =
            Url::parse(text).map_err(|error| Invalid::new(format!("is not a URL ({error})"), REMEDY))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(Invalid::new("is not a postgres:// URL", REMEDY));
        }
        Ok(Self { text: Secret::new(text), shown: redact(text) })
    }

    /// The URL with its password. Never pass it to a format macro, a log or an error.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The URL with `***` for the password.
    pub fn redacted(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({})", self.shown)
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The text with every password replaced; all of it when it cannot be taken apart safely.
pub fn redact(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return REDACTED.to_owned() };
    if !url.has_authority() || (url.password().is_some() && url.set_password(Some(REDACTED)).is_err()) {
        return REDACTED.to_owned();
    }
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let hidden = SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
                (name.into_owned(), if hidden { REDACTED.to_owned() } else { value.into_owned() })
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.into()
}

/// A connection URL.
pub(in crate::config) fn dsn(raw: &Raw) -> Result<Dsn, Invalid> {
    Dsn::parse(raw.text()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec §1 promise 6: no DSN password in any output.
    #[test]
    fn passwords_are_shown_nowhere() {
        for (text, shown) in [
            ("postgres://u:s3cret@db:5432/hj", "postgres://u:***@db:5432/hj"),
            (
                "postgres://u@db/hj?password=s3cret&sslmode=require",
                "postgres://u@db/hj?password=***&sslmode=require",
            ),
            ("postgres://u@db/hj?PassWord=s3cret", "postgres://u@db/hj?PassWord=***"),
            ("postgres:///hj?host=/run/postgresql", "postgres:///hj?host=%2Frun%2Fpostgresql"),
            ("postgres:u:s3cret@db", "***"),
            ("host=db password=s3cret", "***"),
        ] {
            assert_eq!(redact(text), shown);
        }
        let dsn = Dsn::parse("postgresql://u:s3cret@db/hj").unwrap();
        assert!(!format!("{dsn} {dsn:?}").contains("s3cret"));
        assert_eq!(dsn.expose(), "postgresql://u:s3cret@db/hj");
    }

    #[test]
    fn refusals_do_not_repeat_the_text() {
        for bad in ["mysql://u:s3cret@db/hj", "host=db password=s3cret", "postgres://u:s3cret@db:99999/hj"] {
            let invalid = Dsn::parse(bad).unwrap_err();
            assert!(!format!("{invalid:?}").contains("s3cret"), "{bad}");
        }
    }
}
