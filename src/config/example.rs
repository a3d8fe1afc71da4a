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
