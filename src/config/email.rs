//! `email`: what stands in mails to people.

use std::path::PathBuf;

use super::intake::Intake;
use super::resolve::Resolved;
use super::setting::{Raw, section};
use super::value::url::{self, BaseUrl};
use super::value::{Invalid, path, quoted, switch};

section! {
    /// Mails to people.
    pub struct Email in "email" {
        /// What links in mails begin with: the address of the hosted pages, or of pages of your own at /verify-email and
        /// /reset. Never taken from a request.
        base_url: BaseUrl = Derived("server.public_url", default_base_url), env ["EMAIL_BASE_URL"], Public,
            url::base_url;
        /// Directory of templates that replace built-in ones of the same file name.
        templates_dir: Option<PathBuf> = Unset("the built-in templates"), env ["EMAIL_TEMPLATES_DIR"], Public,
            existing_directory;
        /// Write the links of mails to the log, for development without a mail server. Always off when the issuer is https.
        debug_links: bool = Literal("0"), env ["EMAIL_DEBUG_LINKS"], Public, switch;
    }
}

impl Email {
    /// A log is no place for links that change passwords, so with a real issuer the switch does nothing (spec §8).
    pub(super) fn validate(&mut self, issuer: &BaseUrl, intake: &mut Intake<'_>) {
        if self.debug_links {
            if issuer.is_https() {
                self.debug_links = false;
                intake.warn("email.debug_links", "is off, because the issuer is https");
            } else {
                intake.warn("email.debug_links", "links that log in and change passwords are in the log");
            }
        }
        if issuer.is_https() && !self.base_url.is_https() && !self.base_url.is_loopback() {
            intake.warn("email.base_url", "links in mails travel in clear; use https");
        }
    }
}

fn default_base_url(resolved: &Resolved) -> Option<String> {
    resolved.text("server.public_url")
}

fn existing_directory(raw: &Raw) -> Result<PathBuf, Invalid> {
    let path = path(raw)?;
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(Invalid::new(
            format!("{} is not a directory", quoted(&path.to_string_lossy())),
            "give the path of a directory",
        )),
        Err(error) => Err(Invalid::new(
            format!("cannot read {}: {error}", quoted(&path.to_string_lossy())),
            "give the path of a directory that this process may read",
        )),
    }
}
