//! The way to a mail server: one connection a mail, every wait bounded, TLS as it is asked for and never less.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::documents::SmtpTls;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::message::Message;
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::Kind;
use crate::domain::sender::Sender;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a mail may take, from the first packet to the server's last word.
const WHOLE: Duration = Duration::from_secs(30);
/// Servers whose TLS parameters are kept; making them reads the system's certificates.
const MAX_KEPT: usize = 256;
/// Most characters of a server's answer that are repeated.
const MAX_TOLD: usize = 200;
/// Answers that say: this mail never, whoever asks when (RFC 5321 §4.2.3). Others that are as final speak of the login or
/// of the server itself, and somebody may be mending those.
const FINAL: [&str; 5] = ["550", "551", "552", "553", "556"];

/// A mail server, and who mails through it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name and password, where it wants them.
    pub login: Option<(String, SecretString)>,
    /// Who mails are from.
    pub from: Sender,
    /// Protection of the connection.
    pub tls: SmtpTls,
}

/// Why a mail was not taken. Repeats no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server will never take it.
    #[error("the mail server rejected it: {0}")]
    Rejected(String),
    /// The server did not take it now.
    #[error("the mail server refused it for now: {0}")]
    Refused(String),
    /// No server answered as one should.
    #[error("the mail server cannot be used: {0}")]
    Unreachable(String),
    /// The mail or the settings cannot be used.
    #[error("{0}")]
    Unusable(String),
}

/// Sends mails.
pub struct Smtp {
    roots: Vec<Certificate>,
    kept: Mutex<HashMap<String, TlsParameters>>,
}

impl Smtp {
    /// Believes the system's authorities and those of `ca_pem` (`SMTP_CA_FILE`).
    ///
    /// # Errors
    /// Why the certificates cannot be used.
    pub fn new(ca_pem: Option<&str>) -> Result<Self, String> {
        let roots = match ca_pem {
            Some(pem) => vec![Certificate::from_pem(pem.as_bytes()).map_err(|error| told(&error))?],
            None => Vec::new(),
        };
        let smtp = Self { roots, kept: Mutex::default() };
        if ca_pem.is_some() {
            // Only here are the certificates decoded.
            smtp.parameters("localhost").map_err(|error| error.to_string())?;
        }
        Ok(smtp)
    }

    /// Hands the mail to the server.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, server: &Server, message: &Message<'_>) -> Result<(), SendError> {
        let letter = message.letter()?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.as_str())
            .port(server.port)
            .tls(self.tls(server)?)
            .timeout(Some(CONNECT));
        if let Some((username, password)) = &server.login {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
        }
        let transport = builder.build();
        // The library bounds the connection only; a server can hang after it, too.
        match tokio::time::timeout(WHOLE, transport.send(letter)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(judge(&error)),
            Err(_) => Err(SendError::Unreachable(format!("no answer within {} s", WHOLE.as_secs()))),
        }
    }

    fn tls(&self, server: &Server) -> Result<Tls, SendError> {
        match server.tls {
            SmtpTls::None => Ok(Tls::None),
            SmtpTls::Starttls => Ok(Tls::Required(self.parameters(&server.host)?)),
            SmtpTls::Implicit => Ok(Tls::Wrapper(self.parameters(&server.host)?)),
        }
    }

    fn parameters(&self, host: &str) -> Result<TlsParameters, SendError> {
        if let Some(found) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            return Ok(found.clone());
        }
        let mut builder = TlsParameters::builder(host.to_owned());
        for root in &self.roots {
            builder = builder.add_root_certificate(root.clone());
        }
        let made = builder.build_rustls().map_err(|error| SendError::Unreachable(told(&error)))?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(host.to_owned(), made.clone());
        Ok(made)
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

fn judge(error: &lettre::transport::smtp::Error) -> SendError {
    let text = told(error);
    match error.status().map(|code| code.to_string()) {
        Some(code) if FINAL.contains(&code.as_str()) => SendError::Rejected(text),
        Some(_) => SendError::Refused(text),
        // The server lacks what this mail or our settings need: a letter beyond ASCII in the address, STARTTLS, a way to log in.
        None if error.is_client() => SendError::Unusable(text),
        None => SendError::Unreachable(text),
    }
}

/// The error and its causes in one bounded line, without anything that looks like an address: servers like to repeat the
/// recipient.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words
        .map(|word| {
            if word.contains('@') {
                "(address)"
            } else if is_link(word) {
                "(link)"
            } else {
                word
            }
        })
        .collect();
    words.join(" ").chars().take(MAX_TOLD).collect()
}

/// A filter may quote what it did not like, and a link's token is a secret (S111).
fn is_link(word: &str) -> bool {
    word.contains("://") || word.contains("token=") || word.contains(Kind::Mail.prefix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("550 5.1.1 <ann@example.com>:\r\n Recipient address rejected")]
    struct Planted;

    /// S111
    #[test]
    fn what_a_server_says_is_told_in_one_line_without_addresses() {
        assert_eq!(told(&Planted), "550 5.1.1 (address) Recipient address rejected");
    }

    #[test]
    fn certificates_that_are_none_are_refused_at_the_start() {
        assert!(Smtp::new(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")).is_err());
        assert!(Smtp::new(None).is_ok());
    }
}
