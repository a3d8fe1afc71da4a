//! `oauth`: what clients may do without asking a person, and who may look at tokens.

use hellojohn_control::ScopeName;

use super::intake::Intake;
use super::secret::Secret;
use super::setting::{Raw, section};
use super::value::{Invalid, quoted, switch};

/// Lengths of the password of resource servers.
const PASSWORD: std::ops::RangeInclusive<usize> = 16..=256;

section! {
    /// OAuth and OpenID Connect.
    pub struct OAuth in "oauth" {
        /// Take consent for given where a client asks for nothing but oauth.consent_auto_scopes; a client with require_consent asks always.
        consent_auto: bool = Literal("1"), env ["CONSENT_AUTO"], Public, switch;
        /// Scopes for which consent is taken for given.
        consent_auto_scopes: Vec<ScopeName> = Literal("openid email profile"), env ["CONSENT_AUTO_SCOPES"], Public, scopes;
        /// Take an access token in the Authorization header for a session at the authorization endpoint, for applications that log
        /// people in themselves.
        allow_bearer_session: bool = Literal("0"), env ["AUTH_ALLOW_BEARER_SESSION"], Public, switch;
        /// Name under which a resource server may introspect tokens of every tenant.
        introspect_basic_user: Option<String> = Unset("clients may introspect their own tokens only"),
            env ["INTROSPECT_BASIC_USER"], Public, name;
        /// Its password.
        introspect_basic_pass: Option<Secret> = Unset("clients may introspect their own tokens only"),
            env ["INTROSPECT_BASIC_PASS"], Secret, password;
    }
}

impl OAuth {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        if self.introspect_basic_user.is_some() != self.introspect_basic_pass.is_some() {
            intake.conflict(
                &["oauth.introspect_basic_user", "oauth.introspect_basic_pass"],
                "name and password belong together, and one is missing",
                "set both oauth.introspect_basic_user and oauth.introspect_basic_pass, or none",
            );
        }
    }
}

fn scopes(raw: &Raw) -> Result<Vec<ScopeName>, Invalid> {
    let items = raw.items()?;
    let names = items.into_iter().flat_map(str::split_whitespace);
    names
        .map(|name| {
            ScopeName::parse(name).map_err(|error| {
                Invalid::new(
                    format!("{} is no scope: {error}", quoted(name)),
                    "name scopes as in a catalogue",
                )
            })
        })
        .collect()
}

fn name(raw: &Raw) -> Result<String, Invalid> {
    let text = raw.text()?;
    // A colon ends the name in an Authorization header (RFC 7617 §2).
    if text.is_empty() || text.len() > 128 || text.contains(|c: char| c == ':' || !c.is_ascii_graphic()) {
        return Err(Invalid::new(
            format!("{} is not 1 to 128 printable ASCII characters without a colon", quoted(text)),
            "choose another name",
        ));
    }
    Ok(text.to_owned())
}

fn password(raw: &Raw) -> Result<Secret, Invalid> {
    let text = raw.text()?;
    if !PASSWORD.contains(&text.len()) || text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(Invalid::new(
            "is not 16 to 256 printable ASCII characters without a space",
            "make one, for example by `openssl rand -hex 32`",
        ));
    }
    Ok(Secret::new(text))
}
