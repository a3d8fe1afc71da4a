//! A tenant's own mail server.

use serde::{Deserialize, Serialize};

use super::{Patch, SecretField};
use crate::Sealed;
use crate::validate::Findings;

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// STARTTLS, required.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None; for a server on the same host.
    None,
}

/// Settings of a mail server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name, where the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password, sealed with `SECRETBOX_MASTER_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Sealed>,
    /// Sender address.
    pub from: String,
    /// Protection of the connection.
    pub tls: SmtpTls,
}

/// A merge patch for [`Smtp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct SmtpPatch<S = Sealed> {
    /// See [`Smtp::host`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub host: Patch<String>,
    /// See [`Smtp::port`]; 587 unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub port: Patch<u16>,
    /// See [`Smtp::username`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub username: Patch<String>,
    /// See [`Smtp::password`].
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep")]
    pub password: Patch<S>,
    /// See [`Smtp::from`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub from: Patch<String>,
    /// See [`Smtp::tls`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub tls: Patch<SmtpTls>,
}

const DEFAULT_PORT: u16 = 587;

impl<S> SmtpPatch<S> {
    pub(super) fn try_map_secrets<T, E>(
        self,
        f: &mut impl FnMut(SecretField<'_>, S) -> Result<T, E>,
    ) -> Result<SmtpPatch<T>, E> {
        Ok(SmtpPatch {
            host: self.host,
            port: self.port,
            username: self.username,
            password: self.password.try_map(|secret| f(SecretField::SmtpPassword, secret))?,
            from: self.from,
            tls: self.tls,
        })
    }
}

impl Smtp {
    pub(super) fn merge(target: &mut Option<Smtp>, patch: &Patch<SmtpPatch>, findings: &mut Findings) {
        let patch = match patch {
            Patch::Keep => return,
            Patch::Clear => {
                *target = None;
                return;
            }
            Patch::Set(patch) => patch,
        };
        let mut smtp = target.take().unwrap_or_else(|| Smtp {
            host: String::new(),
            port: DEFAULT_PORT,
            username: None,
            password: None,
            from: String::new(),
            tls: SmtpTls::Starttls,
        });
        patch.host.clone().apply_or_default(&mut smtp.host);
        match patch.port {
            Patch::Keep => {}
            Patch::Clear => smtp.port = DEFAULT_PORT,
            Patch::Set(port) => smtp.port = port,
        }
        patch.username.clone().apply_option(&mut smtp.username);
        patch.password.clone().apply_option(&mut smtp.password);
        patch.from.clone().apply_or_default(&mut smtp.from);
        patch.tls.clone().apply_or_default(&mut smtp.tls);
        if smtp.port == 0 {
            findings.add("settings.smtp.port", "out_of_range", "must be between 1 and 65535");
        }
        *target = Some(smtp);
    }

    pub(super) fn check(&self, findings: &mut Findings) {
        findings.text("settings.smtp.host", &self.host);
        findings.text("settings.smtp.from", &self.from);
        if let Some(username) = &self.username {
            findings.text("settings.smtp.username", username);
        }
    }
}
