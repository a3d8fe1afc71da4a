//! Log lines: JSON or text on standard error, filtered by `LOG_LEVEL`.
//!
//! Owns the process-wide subscriber and nothing else. Must never panic and never stop the process: a node
//! that cannot log still serves.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::observability::LogLevel;
use crate::config::{LogFormat, Observability};

/// Target of the log lines that tell of security events (spec §10).
const AUDIT: &str = "audit";

/// A subscriber was installed before; it goes on working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyInstalled;

impl fmt::Display for AlreadyInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log subscriber is installed already")
    }
}

impl std::error::Error for AlreadyInstalled {}

/// Sends the log of this process to standard error.
pub fn init(settings: &Observability) -> Result<(), AlreadyInstalled> {
    let ansi = std::io::stderr().is_terminal();
    subscriber(settings.log_format, &settings.log_level, ansi, std::io::stderr)
        .try_init()
        .map_err(|_| AlreadyInstalled)
}

/// The subscriber that [`init`] installs, writing to `writer`; `ansi` colours text lines.
fn subscriber<W>(
    format: LogFormat,
    level: &LogLevel,
    ansi: bool,
    writer: W,
) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Security events are lines of level info under a target of their own: a quiet log keeps them, unless the
    // operator names that target. The level was parsed when the configuration was loaded; were it not, info
    // beats silence.
    let quiet = EnvFilter::try_new(level.as_str())
        .is_ok_and(|filter| filter.max_level_hint().is_some_and(|most| most <= LevelFilter::WARN));
    // openraft tells of every heartbeat at level info.
    let openraft = if quiet { "" } else { "openraft=warn," };
    let filter = EnvFilter::try_new(format!("{AUDIT}=info,{openraft}{}", level.as_str()))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().with_ansi(ansi).with_writer(writer).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::{Inputs, load};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn settings(level: &str, format: &str) -> Observability {
        let env = [
            ("SIGNING_MASTER_KEY", "0123456789abcdef0123456789abcdef"),
            ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
            ("LOG_LEVEL", level),
            ("LOG_FORMAT", format),
        ];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        load(&Inputs { env, ..Inputs::default() }).unwrap().config.observability
    }

    fn captured(level: &str, format: &str, log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let settings = settings(level, format);
        let subscriber = subscriber(settings.log_format, &settings.log_level, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// S108: a line break in a value does not start a new log line.
    #[test]
    fn json_is_one_object_a_line_with_flat_fields() {
        let text = captured("info", "json", || {
            let span = tracing::info_span!("http.auth.login", request_id = "r1");
            let _entered = span.enter();
            tracing::info!(user = "a\n{\"forged\":true}", "login\r\nok");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "login\r\nok");
        assert_eq!(line["user"], "a\n{\"forged\":true}");
        assert_eq!(line["span"]["request_id"], "r1");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn level_filters_by_severity_and_module() {
        let log = || {
            tracing::debug!("quiet");
            tracing::warn!("loud");
            tracing::debug!(target: "hellojohn_raft", "detail");
        };
        let text = captured("warn,hellojohn_raft=debug", "text", log);
        assert!(text.contains("loud") && text.contains("detail") && !text.contains("quiet"), "{text}");
        assert_eq!(captured("off", "text", log), "");
        let openraft = || {
            tracing::warn!(target: "openraft::core", "loud");
            tracing::info!(target: "openraft::core", "quiet");
        };
        assert_eq!(captured("error", "text", openraft), "");
        assert_eq!(captured("off", "text", openraft), "");
        for level in ["info", "warn", "hellojohn_raft=debug,info"] {
            let text = captured(level, "text", openraft);
            assert!(text.contains("loud") && !text.contains("quiet"), "{level}: {text}");
        }
        assert!(captured("info,openraft=info", "text", openraft).contains("quiet"));
    }

    /// spec §10: a quiet log does not lose security events.
    #[test]
    fn security_events_are_kept_at_every_level_of_severity() {
        let log = || tracing::info!(target: "audit", "login");
        for level in ["warn", "error", "hellojohn_raft=debug"] {
            assert!(captured(level, "text", log).contains("login"), "{level}");
        }
        assert_eq!(captured("warn,audit=off", "text", log), "");
    }

    #[test]
    fn second_initialisation_is_reported_and_harmless() {
        let settings = settings("off", "json");
        // Another test of this process may have been first; the second call here cannot be.
        let _first = init(&settings);
        assert_eq!(init(&settings), Err(AlreadyInstalled));
    }
}
