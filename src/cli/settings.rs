//! `hellojohn config …`: the commands over [`super::config`].

use clap::Subcommand;

use super::config::{self, Format};
use super::failure::{Exit, Failure};
use super::session::Session;
use super::terminal::Output;
use crate::config::{Error, ErrorKind, Errors, Loaded, load};
use crate::mail::Templates;

/// The commands under `config`.
#[derive(Debug, Subcommand)]
pub enum Settings {
    /// Tell whether the configuration is valid, with everything that is wrong with it
    ///
    /// Starts nothing and connects to nothing. The exit code is 2 when there are problems.
    #[command(after_long_help = "Examples:
  hellojohn config check
  hellojohn --config /etc/hellojohn/config.yaml config check --output json
  hellojohn --env-file .local/env config check --set server.addr=:9000")]
    Check,
    /// Show every setting with its value and where it came from; secrets as ***
    #[command(after_long_help = "Examples:
  hellojohn config print
  hellojohn --env-file .local/env config print | grep cluster")]
    Print,
    /// Print the annotated example file with every setting
    #[command(after_long_help = "Examples:
  hellojohn config example > config.yaml")]
    Example,
}

impl Settings {
    /// Runs the command.
    ///
    /// # Errors
    /// When a file cannot be read. Problems of the configuration are the output, not an error.
    pub fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let format = match session.terminal.output() {
            Output::Human => Format::Text,
            Output::Json => Format::Json,
        };
        let code = match self {
            Settings::Check => {
                let loaded = load(&session.inputs()?).and_then(with_templates);
                session.terminal.with(|out| config::check(&loaded, format, out))?
            }
            Settings::Print => {
                let loaded = load(&session.inputs()?);
                session.terminal.with(|out| config::print(&loaded, format, out))?
            }
            Settings::Example => session.terminal.with(|out| config::example(out))?,
        };
        Ok(if code == config::EXIT_VALID { Exit::Ok } else { Exit::Usage })
    }
}

/// The same, if the templates of mails can be used that it names.
fn with_templates(loaded: Loaded) -> Result<Loaded, Errors> {
    match Templates::load(loaded.config.email.templates_dir.as_deref()) {
        Ok(_) => Ok(loaded),
        Err(error) => Err(Errors::from(Error {
            kind: ErrorKind::Invalid,
            source: None,
            key: None,
            env: None,
            reason: error.to_string(),
            remedy: "the names and values of templates are in docs/operations.md".to_owned(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Inputs;

    /// A mistake in a template is found before anything is started.
    #[test]
    fn the_check_renders_the_templates() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let env = [
            ("SIGNING_MASTER_KEY", "0123456789abcdef0123456789abcdef-signing"),
            ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
            ("EMAIL_TEMPLATES_DIR", path),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let inputs = Inputs { env, ..Inputs::default() };
        let checked = || load(&inputs).and_then(with_templates);
        checked().unwrap();
        std::fs::write(directory.path().join("reset.txt"), "one\n{{ lnik }}").unwrap();
        let told = checked().unwrap_err().list()[0].to_string();
        assert!(told.contains("reset.txt, line 2: "), "{told}");
    }
}
