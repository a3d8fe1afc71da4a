//! What a command writes: small aligned tables for people, one JSON document for programs.
//!
//! Owns standard output and standard error of a command. Results go to output, everything else to error, so
//! that output can be piped. Text from a server or file is shown with its control characters escaped.

use std::io::{self, Write};

use serde_json::Value;

use super::failure::{Exit, Failure};

/// Form of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// Short texts and tables.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// Where a command writes to.
pub struct Terminal<'a> {
    output: Output,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl std::fmt::Debug for Terminal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("output", &self.output).finish_non_exhaustive()
    }
}

impl<'a> Terminal<'a> {
    /// Writes results to `out` and the rest to `err`.
    pub fn new(output: Output, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { output, out, err }
    }

    /// The chosen form.
    pub fn output(&self) -> Output {
        self.output
    }

    /// Writes the result: `human` for people, `json` for programs.
    ///
    /// # Errors
    /// When nobody reads the output any more.
    pub fn show(&mut self, json: &Value, human: impl FnOnce() -> String) -> Result<(), Failure> {
        let mut text = match self.output {
            Output::Human => human(),
            Output::Json => format!("{json:#}"),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.raw(&text)
    }

    /// Writes `text` to the output, whatever the form.
    ///
    /// # Errors
    /// When nobody reads the output any more.
    pub fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.with(|out| out.write_all(text.as_bytes()))
    }

    /// Lets `write` write to the output.
    ///
    /// # Errors
    /// When nobody reads the output any more.
    pub fn with<T>(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Result<T, Failure> {
        let written = write(self.out).and_then(|value| self.out.flush().map(|()| value));
        written.map_err(|error| Failure::new(Exit::Failed, format!("cannot write the output: {error}")))
    }

    /// Tells something beside the result. Whether anybody reads it does not matter.
    pub fn note(&mut self, text: &str) {
        drop(writeln!(self.err, "{}", printable(text)));
    }

    /// Tells why the command failed.
    pub fn fail(&mut self, failure: &Failure) {
        let text = match self.output {
            Output::Human => failure.to_string(),
            Output::Json => format!("{:#}", failure.to_json()),
        };
        drop(writeln!(self.err, "{text}"));
    }
}

/// The text with control characters escaped, so that a value can neither forge lines nor move the cursor.
pub fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Rows under headings in aligned columns; `none` where there is no row.
pub fn table(headings: &[&str], rows: &[Vec<String>], none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.max().unwrap_or(0).max(heading.len())
        })
        .collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).fold(String::new(), |mut line, (cell, width)| {
            line.push_str(&format!("{cell:width$}  "));
            line
        });
        text.push_str(padded.trim_end());
        text.push('\n');
    };
    line(&mut headings.iter().copied());
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// `name  value` lines with the values aligned; empty values are left out.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    shown.iter().fold(String::new(), |mut text, (name, value)| {
        text.push_str(&format!("{name:width$}  {}\n", printable(value)));
        text
    })
}

/// A member of a JSON document as a cell: texts bare, lists joined, nothing for what is absent.
pub fn cell(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let texts: Vec<String> = items.iter().map(|item| cell(item, "")).collect();
            texts.join(" ")
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_cannot_be_forged() {
        let rows = vec![
            vec!["acme".to_owned(), "Acme\nroot  active".to_owned()],
            vec!["b".to_owned(), String::new()],
        ];
        insta::assert_snapshot!(table(&["SLUG", "NAME"], &rows, "no tenants"), @r"
        SLUG  NAME
        acme  Acme\nroot  active
        b
        ");
        assert_eq!(table(&["SLUG"], &[], "no tenants"), "no tenants\n");
    }

    #[test]
    fn pairs_leave_out_what_is_empty() {
        let text = pairs(&[("id", "7".into()), ("given name", String::new()), ("tenant", "local".into())]);
        assert_eq!(text, "id      7\ntenant  local\n");
    }

    #[test]
    fn cells_show_json_briefly() {
        let document = json!({"a": {"b": ["x", 1, true]}, "n": null});
        assert_eq!(cell(&document, "/a/b"), "x 1 true");
        assert_eq!(cell(&document, "/n"), "");
        assert_eq!(cell(&document, "/missing"), "");
    }

    #[test]
    fn output_is_one_document_and_ends_its_line() {
        for (output, expected) in [(Output::Human, "text\n"), (Output::Json, "{\n  \"a\": 1\n}\n")] {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut terminal = Terminal::new(output, &mut out, &mut err);
            terminal.show(&json!({"a": 1}), || "text".to_owned()).unwrap();
            terminal.note("beside");
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(String::from_utf8(err).unwrap(), "beside\n");
        }
    }
}
