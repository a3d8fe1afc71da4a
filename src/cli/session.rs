//! What every command is given: where its configuration comes from, where it writes, time and randomness.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::failure::Failure;
use super::terminal::Terminal;
use crate::config::{self, Inputs, Loaded, Options};
use crate::domain::clock::Clock;
use crate::domain::rng::Rng;

/// One run of the program.
#[derive(Debug)]
pub struct Session<'a> {
    /// The options that choose the sources of the configuration.
    pub options: Options,
    /// The process environment.
    pub env: BTreeMap<String, String>,
    /// The working directory; relative paths begin here.
    pub directory: PathBuf,
    /// Where to write.
    pub terminal: Terminal<'a>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

/// Variables by name; an empty one counts as unset.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

/// They hold secrets.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

impl From<BTreeMap<String, String>> for Variables {
    fn from(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }
}

impl Session<'_> {
    /// The texts that the configuration is made from.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn inputs(&self) -> Result<Inputs, Failure> {
        Ok(config::gather(self.options.clone(), self.env.clone(), &self.directory)?)
    }

    /// The configuration of the node on this host.
    ///
    /// # Errors
    /// With every problem of it.
    pub fn config(&self) -> Result<Loaded, Failure> {
        Ok(config::load(&self.inputs()?)?)
    }

    /// The variables of the environment and of the dotenv file.
    ///
    /// # Errors
    /// When the dotenv file cannot be read.
    pub fn variables(&self) -> Result<Variables, Failure> {
        Ok(Variables(self.inputs()?.variables()?))
    }
}
