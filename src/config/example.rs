//! The annotated example file, written from the table: `configs/config.example.yaml` is this text.

use super::setting::{Fallback, Setting};
use super::table::SECTIONS;

/// Width of comments.
const WIDTH: usize = 110;

/// The example file. It loads as it stands, but for the two master keys that nobody can default.
pub fn render() -> String {
    let mut text = String::from(
        "# Every setting of hellojohn, with its default. Precedence, later wins: default, this file, .env,\n\
         # environment, flags (--set section.key=value). An empty value counts as unset. Unknown keys are\n\
         # refused. Durations: 15m, 168h, 7d, 1h30m, 500ms, or plain seconds. Lists: a YAML list, or a text\n\
         # with ',' or ';' between the items. Check with: hellojohn config check\n",
    );
    for (title, settings) in SECTIONS {
        let Some(first) = settings.first() else { continue };
        text.push_str(&format!("\n# {title}\n{}:\n", first.section()));
        for setting in *settings {
            entry(&mut text, setting);
        }
    }
    text
}

fn entry(text: &mut String, setting: &Setting) {
    let (default, value) = match setting.fallback {
        Fallback::Literal("") => ("empty".to_owned(), String::new()),
        Fallback::Literal(default) => (default.to_owned(), format!(" {}", scalar(default))),
        Fallback::Derived { from, .. } => (from.to_owned(), String::new()),
        Fallback::Required { .. } => ("none, it must be given".to_owned(), String::new()),
        Fallback::Unset { means } => (format!("unset ({means})"), String::new()),
    };
    wrapped(text, setting.doc());
    wrapped(text, &format!("{}; default: {default}", setting.env.join(" or ")));
    text.push_str(&format!("  {}:{value}\n", setting.leaf()));
}

/// A comment, broken at spaces.
fn wrapped(text: &mut String, words: &str) {
    let mut line = String::from("  #");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("  #");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Quoted, unless it is plain in any version of YAML.
fn scalar(default: &str) -> String {
    let plain = default.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_'));
    // "off" and its like are booleans to YAML 1.1 readers such as editors.
    if plain && !matches!(default, "on" | "off" | "yes" | "no") {
        default.to_owned()
    } else {
        format!("\"{default}\"")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::tests::{loaded, with_yaml};
    use crate::config::{ErrorKind, Inputs, Loaded, TextFile, load, table};

    /// Spec §8: the example documents every key and loads.
    #[test]
    fn the_example_file_is_the_table_and_loads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config.example.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, render(), "write it anew with: hellojohn config example");
        let lines: BTreeSet<&str> =
            text.lines().map(|line| line.split_once(':').map_or(line, |(key, _)| key)).collect();
        for setting in table::all() {
            assert!(lines.contains(format!("  {}", setting.leaf()).as_str()), "{}", setting.key);
            assert!(setting.env.iter().all(|name| text.contains(name)), "{}", setting.key);
        }
        let from_example = load(&with_yaml(&text)).unwrap();
        let literal = from_example
            .sources
            .iter()
            .filter(|shown| matches!(shown.setting.fallback, Fallback::Literal(text) if !text.is_empty()));
        for shown in literal {
            assert_eq!(shown.source.to_string(), "config.yaml", "{}", shown.setting.key);
        }
        // The example changes nothing: its values are the defaults.
        let values =
            |loaded: &Loaded| loaded.sources.iter().map(|shown| shown.value.clone()).collect::<Vec<_>>();
        assert_eq!(values(&from_example), values(&loaded(&[])));
        // Alone it lacks the master keys only.
        let alone = Inputs { yaml: Some(TextFile::new("e", text)), ..Inputs::default() };
        let missing = load(&alone).unwrap_err();
        assert!(missing.list().iter().all(|error| error.kind == ErrorKind::Missing), "{missing}");
        assert_eq!(missing.list().len(), 2, "{missing}");
    }
}
