//! `config check`, `config print`, `config example`: shows what the configuration layer found.
//!
//! Decides nothing: takes what [`crate::config::load`] returned and writes it. Values arrive redacted.

use std::io::{self, Write};

use serde_json::json;

use crate::config::setting::Fallback;
use crate::config::{Error, Errors, Loaded, Shown, Warning, example};

/// Exit code: the configuration is valid.
pub const EXIT_VALID: u8 = 0;
/// Exit code: the configuration has problems.
pub const EXIT_INVALID: u8 = 2;

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Writes whether the configuration is valid, with all problems or warnings; the exit code says it too.
pub fn check(result: &Result<Loaded, Errors>, format: Format, out: &mut dyn Write) -> io::Result<u8> {
    match (result, format) {
        (Ok(loaded), Format::Text) => {
            writeln!(out, "the configuration is valid")?;
            for warning in &loaded.warnings {
                writeln!(out, "warning: {}", printable(&warning.to_string()))?;
            }
        }
        (Ok(loaded), Format::Json) => {
            let warnings: Vec<_> = loaded.warnings.iter().map(warning_json).collect();
            json_line(out, &json!({ "valid": true, "errors": [], "warnings": warnings }))?;
        }
        (Err(errors), format) => return problems(errors, format, out),
    }
    Ok(EXIT_VALID)
}

/// Writes every setting with its value (`***` for secrets) and its source; problems instead, when there
/// are any.
pub fn print(result: &Result<Loaded, Errors>, format: Format, out: &mut dyn Write) -> io::Result<u8> {
    let loaded = match result {
        Ok(loaded) => loaded,
        Err(errors) => return problems(errors, format, out),
    };
    match format {
        Format::Json => {
            let settings: Vec<_> = loaded.sources.iter().map(shown_json).collect();
            json_line(out, &json!({ "settings": settings }))?;
        }
        Format::Text => {
            let rows: Vec<(&str, String, String)> = loaded.sources.iter().map(row).collect();
            let keys = width(rows.iter().map(|(key, ..)| *key));
            let values = width(rows.iter().map(|(_, value, _)| value.as_str()));
            for (key, value, source) in &rows {
                writeln!(out, "{key:keys$}  {value:values$}  {source}")?;
            }
        }
    }
    Ok(EXIT_VALID)
}

/// Writes the annotated example file with every setting.
pub fn example(out: &mut dyn Write) -> io::Result<u8> {
    out.write_all(example::render().as_bytes())?;
    Ok(EXIT_VALID)
}

fn problems(errors: &Errors, format: Format, out: &mut dyn Write) -> io::Result<u8> {
    match format {
        Format::Text => {
            writeln!(out, "{}", errors.title())?;
            for error in errors.list() {
                writeln!(out, "  - {}", printable(&error.to_string()))?;
            }
        }
        Format::Json => {
            let errors: Vec<_> = errors.list().iter().map(error_json).collect();
            json_line(out, &json!({ "valid": false, "errors": errors, "warnings": [] }))?;
        }
    }
    Ok(EXIT_INVALID)
}

fn row(shown: &Shown) -> (&'static str, String, String) {
    let value = match (&shown.value, shown.setting.fallback) {
        (Some(value), _) if value.is_empty() => "(empty)".to_owned(),
        (Some(value), _) => printable(value),
        (None, Fallback::Unset { means }) => format!("(unset: {means})"),
        (None, Fallback::Literal(_) | Fallback::Derived { .. } | Fallback::Required { .. }) => {
            "(unset)".to_owned()
        }
    };
    (shown.setting.key, value, printable(&shown.source.to_string()))
}

/// Width of a column; one long value must not push all sources out of sight.
fn width<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(48)
}

/// The text with control characters escaped, so that a value cannot forge lines or move the cursor.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn shown_json(shown: &Shown) -> serde_json::Value {
    json!({
        "key": shown.setting.key,
        "env": shown.setting.env,
        "value": shown.value,
        "source": shown.source.to_string(),
        "doc": shown.setting.doc(),
    })
}

fn error_json(error: &Error) -> serde_json::Value {
    json!({
        "key": error.key,
        "env": error.env,
        "source": error.source.as_ref().map(ToString::to_string),
        "reason": error.reason,
        "remedy": error.remedy,
    })
}

fn warning_json(warning: &Warning) -> serde_json::Value {
    json!({ "key": warning.key, "text": warning.text })
}

fn json_line(out: &mut dyn Write, value: &serde_json::Value) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Inputs, TextFile, load};

    const SECRETS: [&str; 3] = [
        "planted-signing-key-0123456789abcdef",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "planted-password",
    ];

    fn inputs() -> Inputs {
        let env = [("SIGNING_MASTER_KEY", SECRETS[0]), ("SECRETBOX_MASTER_KEY", SECRETS[1])];
        Inputs {
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            dotenv: Some(TextFile::new(".env", "DATABASE_URL=postgres://hj:planted-password@db/hj\n")),
            yaml: Some(TextFile::new("config.yaml", "admin:\n  subs: [alice, bob]\n")),
            flags: vec![Flag::parse("server.addr=127.0.0.1:9000").unwrap()],
        }
    }

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<u8>) -> (u8, String) {
        let mut out = Vec::new();
        let code = write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
        (code, text)
    }

    /// Spec §8, S111: values with their sources, secrets as `***`.
    #[test]
    fn print_shows_values_and_sources_but_no_secret() {
        let result = load(&inputs());
        let (code, text) = written(|out| print(&result, Format::Text, out));
        assert_eq!(code, EXIT_VALID);
        insta::assert_snapshot!("config_print", text);
    }

    #[test]
    fn print_as_json_has_every_setting() {
        let result = load(&inputs());
        let (code, text) = written(|out| print(&result, Format::Json, out));
        assert_eq!(code, EXIT_VALID);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let settings = json["settings"].as_array().unwrap();
        assert_eq!(settings.len(), crate::config::table::all().count());
        let dsn = settings.iter().find(|row| row["key"] == "storage.dsn").unwrap();
        assert_eq!(dsn["value"], "postgres://hj:***@db/hj");
        assert_eq!(dsn["source"], ".env DATABASE_URL");
        assert_eq!(dsn["env"], json!(["STORAGE_DSN", "DATABASE_URL"]));
    }

    #[test]
    fn check_tells_warnings_and_succeeds() {
        let result = load(&inputs());
        let (code, text) = written(|out| check(&result, Format::Text, out));
        assert_eq!(code, EXIT_VALID);
        assert!(text.starts_with("the configuration is valid\nwarning: control_plane.key_rotation_grace_seconds: 1m is shorter than the life of an access token (15m)"), "{text}");
        let (_, text) = written(|out| check(&result, Format::Json, out));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["valid"], json["warnings"].as_array().unwrap().len()), (&json!(true), 2));
        assert!(text.contains("smtp.host"), "{text}");
    }

    #[test]
    fn check_tells_all_problems_and_fails() {
        let mut inputs = inputs();
        inputs.env.insert("CLUSTER_MODE".into(), "x\u{1b}[2J\ny".into());
        inputs.env.insert("STORAGE_DRIVER".into(), "planted\nline".into());
        let result = load(&inputs);
        for command in [check, print] {
            let (code, text) = written(|out| command(&result, Format::Text, out));
            assert_eq!(code, EXIT_INVALID);
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        let (code, text) = written(|out| check(&result, Format::Json, out));
        assert_eq!(code, EXIT_INVALID);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["errors"][0]["env"], "STORAGE_DRIVER");
        assert_eq!(json["errors"][0]["source"], "environment STORAGE_DRIVER");
    }

    #[test]
    fn values_cannot_forge_lines_of_the_print() {
        let mut inputs = inputs();
        inputs.env.insert("CONTROL_PLANE_FS_ROOT".into(), "data\nadmin.enforce  0  default".into());
        let (_, text) = written(|out| print(&load(&inputs), Format::Text, out));
        assert_eq!(text.lines().count(), crate::config::table::all().count(), "{text}");
    }

    #[test]
    fn example_is_the_file_of_the_repository() {
        let (_, text) = written(|out| example(out));
        assert_eq!(text, include_str!("../../configs/config.example.yaml"));
    }
}
