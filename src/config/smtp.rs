//! `smtp`: the mail server of tenants that have none of their own.

use hellojohn_control::documents::SmtpTls;

use super::intake::Intake;
use super::secret::Secret;
use super::setting::{Raw, section};
use super::value::net::Host;
use super::value::pem::{self, Pem};
use super::value::{Invalid, quoted, whole};
use crate::domain::sender::Sender;

/// Longest user name or password.
const MAX_LOGIN: usize = 1_024;

section! {
    /// The mail server of tenants that have none of their own.
    pub struct Smtp in "smtp" {
        /// Host name of the mail server.
        host: Option<String> = Unset("only tenants with a mail server of their own send mail"), env ["SMTP_HOST"],
            Public, host;
        /// Port of the mail server: 587 for STARTTLS, 465 for TLS from the first byte.
        port: u16 = Literal("587"), env ["SMTP_PORT"], Public, whole(1, u16::MAX);
        /// User name, where the server wants one.
        username: Option<String> = Unset("no login"), env ["SMTP_USERNAME"], Public, username;
        /// Password of that user.
        password: Option<Secret> = Unset("no login"), env ["SMTP_PASSWORD"], Secret, password;
        /// Sender of mails: an address, or 'Name <address>'.
        from: Option<Sender> = Unset("required with smtp.host"), env ["SMTP_FROM"], Public, sender;
        /// Protection of the connection: starttls (required, never skipped), implicit (TLS from the first byte) or none.
        tls: SmtpTls = Literal("starttls"), env ["SMTP_TLS"], Public, tls;
        /// Certificates of authorities that mail servers are believed by, beside those of the system; path or inline PEM.
        ca_file: Option<Pem> = Unset("those of the system"), env ["SMTP_CA_FILE"], PathOrSecret, pem::certificates;
    }
}

impl Smtp {
    /// `people` tells whether the node has a user database at all.
    pub(super) fn validate(&self, people: bool, intake: &mut Intake<'_>) {
        let Some(host) = &self.host else {
            if people {
                intake.warn(
                    "smtp.host",
                    "is not set: tenants without a mail server of their own send no mail, so nobody there can verify an \
                     address or reset a password",
                );
            }
            return;
        };
        if self.from.is_none() {
            intake.missing("smtp.from", "is not set, and mail needs a sender", "give an address of yours");
        }
        if self.username.is_some() != self.password.is_some() {
            intake.conflict(
                &["smtp.username", "smtp.password"],
                "user name and password belong together, and one is missing",
                "set both smtp.username and smtp.password, or none",
            );
        }
        let here = Host::parse(host).is_some_and(|host| host.is_loopback());
        if self.tls == SmtpTls::None && !here {
            intake.warn("smtp.tls", "mails, with links that change passwords, travel in clear");
        }
    }
}

fn host(raw: &Raw) -> Result<String, Invalid> {
    let text = raw.text()?;
    match Host::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(Invalid::new(
            format!("{} is not a host name", quoted(text)),
            "write a host such as mail.example.com; the port is smtp.port",
        )),
    }
}

fn username(raw: &Raw) -> Result<String, Invalid> {
    let text = raw.text()?;
    if text.len() > MAX_LOGIN || text.chars().any(char::is_control) {
        return Err(Invalid::new("is too long or holds control characters", "give the server's user name"));
    }
    Ok(text.to_owned())
}

fn password(raw: &Raw) -> Result<Secret, Invalid> {
    let text = raw.text()?;
    if text.len() > MAX_LOGIN || text.chars().any(char::is_control) {
        return Err(Invalid::new("is too long or holds control characters", "give the server's password"));
    }
    Ok(Secret::new(text))
}

fn sender(raw: &Raw) -> Result<Sender, Invalid> {
    let text = raw.text()?;
    Sender::parse(text).map_err(|error| {
        Invalid::new(format!("{} {error}", quoted(text)), "write 'Example <no-reply@example.com>'")
    })
}

fn tls(raw: &Raw) -> Result<SmtpTls, Invalid> {
    let text = raw.text()?;
    match text.to_ascii_lowercase().as_str() {
        "starttls" => Ok(SmtpTls::Starttls),
        "implicit" | "tls" => Ok(SmtpTls::Implicit),
        "none" => Ok(SmtpTls::None),
        _ => Err(Invalid::new(
            format!("{} is no kind of protection", quoted(text)),
            "write starttls, implicit or none",
        )),
    }
}
