//! `observability`: logs and metrics.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::intake::Intake;
use super::setting::{Raw, section};
use super::value::net::{self, ListenAddr};
use super::value::{Invalid, quoted};

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text,
}

/// A filter that tracing-subscriber's `EnvFilter` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

section! {
    /// Logs and metrics.
    pub struct Observability in "observability" {
        /// Address of a listener of its own for /metrics.
        metrics_addr: Option<ListenAddr> = Unset("/metrics on the public listener"), env ["METRICS_ADDR"],
            Public, net::listen_addr;
        /// Form of the log lines on standard error: json or text.
        log_format: LogFormat = Literal("json"), env ["LOG_FORMAT"], Public, log_format;
        /// Log level: off, error, warn, info, debug or trace, also by module: info,hellojohn_raft=debug.
        log_level: LogLevel = Literal("info"), env ["LOG_LEVEL"], Public, log_level;
    }
}

impl Observability {
    /// `server` is the public listener's address.
    pub(super) fn validate(&self, server: &ListenAddr, intake: &mut Intake<'_>) {
        if self.metrics_addr.as_ref().is_some_and(|addr| addr.port != 0 && addr == server) {
            intake.conflict(
                &["observability.metrics_addr", "server.addr"],
                "is the address of the public listener",
                "give another port, or leave it out to have /metrics on the public listener",
            );
        }
    }
}

fn log_format(raw: &Raw) -> Result<LogFormat, Invalid> {
    match raw.text()? {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        other => Err(Invalid::new(format!("{} is not a log format", quoted(other)), "write json or text")),
    }
}

fn log_level(raw: &Raw) -> Result<LogLevel, Invalid> {
    const REMEDY: &str =
        "write off, error, warn, info, debug or trace, also by module: info,hellojohn_raft=debug";
    // The filter's directives are separated by commas, so a YAML sequence is put together again.
    let text = match raw {
        Raw::Text(text) => text.trim().to_owned(),
        Raw::Items(items) => items.join(","),
    };
    // EnvFilter takes a bare word that is no level for a module name, and "inof" would silence everything.
    for directive in text.split(',').map(str::trim) {
        let names_target = directive.contains(['=', '[']) || directive.contains("::");
        if !names_target && directive.parse::<LevelFilter>().is_err() {
            return Err(Invalid::new(format!("{} is not a log level", quoted(directive)), REMEDY));
        }
    }
    match EnvFilter::try_new(&text) {
        Ok(_) => Ok(LogLevel(text)),
        Err(_) => Err(Invalid::new(format!("{} is not a log filter", quoted(&text)), REMEDY)),
    }
}
