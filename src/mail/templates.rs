//! Templates of mails: built in, and replaced one by one by files of `EMAIL_TEMPLATES_DIR`.
//!
//! A mail has a subject and a text, and an HTML part in which every value is escaped (S108). All templates are rendered
//! once at the start, so that a mistake in one stops the process there and not a mail later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hellojohn_control::documents::Branding;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use crate::domain::mail::MailKind;
use crate::domain::sender::Line;

/// Largest template file, in bytes.
const MAX_TEMPLATE: u64 = 256 * 1024;
/// What is around the HTML part of every mail.
const FRAME: &str = "frame.html";
/// Colour of buttons where the tenant has none.
const COLOR: &str = "#1f5fbf";

macro_rules! built_in {
    ($($file:literal),+ $(,)?) => { &[$(($file, include_str!(concat!("templates/", $file)))),+] };
}

/// Every template, by file name.
const BUILT_IN: &[(&str, &str)] = built_in![
    "frame.html",
    "new_device.html",
    "new_device.subject.txt",
    "new_device.txt",
    "registered.html",
    "registered.subject.txt",
    "registered.txt",
    "reset.html",
    "reset.subject.txt",
    "reset.txt",
    "verify.html",
    "verify.subject.txt",
    "verify.txt",
];

/// Why the templates cannot be used. Names file and line.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A template is wrong.
    #[error("EMAIL_TEMPLATES_DIR: {}, line {line}: {reason}", file.display())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line; 0 where none is to blame.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file of the directory is none of ours: most likely a typing error.
    #[error("EMAIL_TEMPLATES_DIR: {} is no template; the names are: {}", .0.display(), names())]
    Unknown(PathBuf),
    /// A file cannot be read.
    #[error("EMAIL_TEMPLATES_DIR: {} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The file or the directory.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

fn names() -> String {
    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// How the mails of a tenant look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The name that people know the tenant by.
    pub app: Line,
    /// Address of the logo, if it is https.
    pub logo_url: Option<String>,
    /// `#rrggbb`.
    pub color: String,
}

impl Look {
    /// The look of a tenant called `name`.
    pub fn new(name: &str, branding: Option<&Branding>) -> Self {
        let app = branding.and_then(|branding| branding.display_name.as_deref());
        let color = branding.and_then(|branding| branding.primary_color.as_deref());
        let is_color =
            |c: &&str| c.len() == 7 && c.starts_with('#') && c.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
        let logo = branding.and_then(|branding| branding.logo_url.as_deref());
        Self {
            app: Line::new(app.unwrap_or(name)),
            logo_url: logo.filter(|url| url.starts_with("https://")).map(str::to_owned),
            // A style knows no escaping, so nothing but a colour gets into one.
            color: color.filter(is_color).unwrap_or(COLOR).to_owned(),
        }
    }
}

/// What differs from mail to mail. Absent where a kind of mail does not have it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The person's given name.
    pub name: Option<Line>,
    /// Where the mail leads to.
    pub link: Option<String>,
    /// For how long it leads there, in words.
    pub valid_for: Option<String>,
    /// When it happened.
    pub at: Option<String>,
    /// From which address.
    pub ip: Option<String>,
    /// With which program.
    pub user_agent: Option<Line>,
}

/// A link changes passwords.
impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("valid_for", &self.valid_for).finish_non_exhaustive()
    }
}

/// A rendered mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its subject.
    pub subject: Line,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// A mail holds links that change passwords.
impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendered").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// The templates in force.
#[derive(Debug)]
pub struct Templates(Environment<'static>);

impl Templates {
    /// The built-in templates, with those of `directory` in their place.
    ///
    /// # Errors
    /// [`TemplateError`], which names file and line.
    pub fn load(directory: Option<&Path>) -> Result<Self, TemplateError> {
        let overrides = directory.map(read).transpose()?.unwrap_or_default();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        });
        for (name, built_in) in BUILT_IN {
            let source = overrides.get(*name).cloned().unwrap_or_else(|| (*built_in).to_owned());
            environment
                .add_template_owned((*name).to_owned(), source)
                .map_err(|error| wrong(directory, name, &error))?;
        }
        let templates = Self(environment);
        templates.try_all(directory)?;
        Ok(templates)
    }

    /// Renders every template with and without the values that may be absent.
    fn try_all(&self, directory: Option<&Path>) -> Result<(), TemplateError> {
        let full = Words {
            name: Some(Line::new("Ann")),
            link: Some("https://id.example.com/reset?token=t".to_owned()),
            valid_for: Some("1 hour".to_owned()),
            at: Some("2027-01-15 08:00:00 UTC".to_owned()),
            ip: Some("192.0.2.1".to_owned()),
            user_agent: Some(Line::new("Browser")),
        };
        let look = Look { logo_url: Some("https://example.com/l.png".to_owned()), ..Look::new("Acme", None) };
        for kind in MailKind::ALL {
            for (look, words) in
                [(&look, full.clone()), (&Look::new("Acme", None), Words { name: None, ..full.clone() })]
            {
                self.render(kind, look, &words)
                    .map_err(|error| wrong(directory, error.name().unwrap_or(kind.as_str()), &error))?;
            }
        }
        Ok(())
    }

    /// Renders a mail.
    ///
    /// # Errors
    /// What a template of one's own may do wrong with unusual values.
    pub fn render(&self, kind: MailKind, look: &Look, words: &Words) -> Result<Rendered, minijinja::Error> {
        let kind = kind.as_str();
        let plain = |link: Option<Value>| {
            context! {
                app => look.app.as_str(),
                name => words.name.as_ref().map(Line::as_str),
                link => link,
                valid_for => words.valid_for.as_deref(),
                at => words.at.as_deref(),
                ip => words.ip.as_deref(),
                user_agent => words.user_agent.as_ref().map(Line::as_str),
                button => button(&look.color),
            }
        };
        let text = plain(words.link.as_deref().map(Value::from));
        let subject = self.0.get_template(&format!("{kind}.subject.txt"))?.render(&text)?;
        let text = self.0.get_template(&format!("{kind}.txt"))?.render(&text)?;
        // The engine would write a slash as a character reference, too; a link is easier to read and to check without.
        let html = plain(words.link.as_deref().map(|link| Value::from_safe_string(escaped(link))));
        let html = self.0.get_template(&format!("{kind}.html"))?.render(&html)?;
        let html = self.0.get_template(FRAME)?.render(context! {
            app => look.app.as_str(),
            logo_url => look.logo_url.as_deref(),
            content => Value::from_safe_string(html),
        })?;
        Ok(Rendered { subject: Line::new(&subject), text, html })
    }
}

fn button(color: &str) -> String {
    format!(
        "display:inline-block;padding:.6em 1em;border-radius:4px;text-decoration:none;color:#fff;background:{color}"
    )
}

/// For text and double-quoted attributes of HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn wrong(directory: Option<&Path>, name: &str, error: &minijinja::Error) -> TemplateError {
    let file = directory.map_or_else(|| PathBuf::from(name), |directory| directory.join(name));
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TemplateError::Wrong { file, line: error.line().unwrap_or(0), reason }
}

/// The templates of a directory by file name. Hidden files are left alone, others that are none of ours refused.
fn read(directory: &Path) -> Result<BTreeMap<String, String>, TemplateError> {
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |error: std::io::Error| TemplateError::Unreadable { file, reason: error.to_string() }
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if !BUILT_IN.iter().any(|(known, _)| *known == name) {
            return Err(TemplateError::Unknown(path));
        }
        let length = std::fs::metadata(&path).map_err(failed(&path))?.len();
        if length > MAX_TEMPLATE {
            let reason = format!("it is larger than {MAX_TEMPLATE} bytes");
            return Err(TemplateError::Unreadable { file: path, reason });
        }
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        found.insert(name, text);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
