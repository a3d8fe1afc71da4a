//! Finds and reads the files of the configuration, by the command line's options.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind as IoError, Read as _};
use std::path::{Path, PathBuf};

use super::error::{Error, ErrorKind, Errors};
use super::load::{Inputs, TextFile};
use super::resolve::{Flag, Source};

/// Files that are looked for in the working directory when none is named; the first that exists is read.
pub const DEFAULT_FILES: [&str; 2] = ["config.yaml", "configs/config.yaml"];
/// The dotenv file that is read when none is named.
pub const DEFAULT_DOTENV: &str = ".env";
/// Switches the dotenv file of the working directory off; a file named by `--env-file` is still read.
pub const DISABLE_DOTENV: &str = "DISABLE_DOTENV";

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The options of the command line that choose the sources.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--env`: no YAML file.
    pub env_only: bool,
    /// `--env-file FILE`: this dotenv file instead of `.env`.
    pub env_file: Option<PathBuf>,
    /// `--set section.key=value`, and direct flags under their key.
    pub flags: Vec<Flag>,
}

/// Reads the files that `options` and `env` ask for; relative paths start at `directory`. Every file that
/// cannot be read is reported.
pub fn gather(options: Options, env: BTreeMap<String, String>, directory: &Path) -> Result<Inputs, Errors> {
    let mut errors = Vec::new();
    let mut keep = |read: Result<Option<TextFile>, Errors>| match read {
        Ok(file) => file,
        Err(mut found) => {
            errors.append(found.list_mut());
            None
        }
    };
    let yaml = keep(yaml(&options, directory));
    let dotenv = keep(dotenv(&options, &env, directory));
    match Errors::from_list(errors) {
        Some(errors) => Err(errors),
        None => Ok(Inputs { env, dotenv, yaml, flags: options.flags }),
    }
}

fn yaml(options: &Options, directory: &Path) -> Result<Option<TextFile>, Errors> {
    match (&options.config, options.env_only) {
        (Some(path), true) => Err(Errors::from(Error {
            kind: ErrorKind::Conflict,
            source: Some(Source::Flag),
            key: None,
            env: None,
            reason: format!("--env reads no file, and --config names {}", path.display()),
            remedy: "give one of the two".to_owned(),
        })),
        (Some(path), false) => required(path, directory).map(Some),
        (None, true) => Ok(None),
        (None, false) => {
            for name in DEFAULT_FILES {
                if let Some(file) = optional(Path::new(name), directory)? {
                    return Ok(Some(file));
                }
            }
            Ok(None)
        }
    }
}

fn dotenv(
    options: &Options,
    env: &BTreeMap<String, String>,
    directory: &Path,
) -> Result<Option<TextFile>, Errors> {
    if let Some(path) = &options.env_file {
        return required(path, directory).map(Some);
    }
    let disabled = env.get(DISABLE_DOTENV).map_or("", |text| text.trim());
    match disabled.to_ascii_lowercase().as_str() {
        "" | "0" | "false" | "off" | "no" => optional(Path::new(DEFAULT_DOTENV), directory),
        "1" | "true" | "on" | "yes" => Ok(None),
        _ => Err(Errors::from(Error {
            kind: ErrorKind::Invalid,
            source: Some(Source::Env(DISABLE_DOTENV.to_owned())),
            key: None,
            env: Some(DISABLE_DOTENV),
            reason: "is not a switch".to_owned(),
            remedy: "write 1 or 0".to_owned(),
        })),
    }
}

fn required(path: &Path, directory: &Path) -> Result<TextFile, Errors> {
    match optional(path, directory)? {
        Some(file) => Ok(file),
        None => Err(unreadable(path, "there is no such file")),
    }
}

fn optional(path: &Path, directory: &Path) -> Result<Option<TextFile>, Errors> {
    let file = match File::open(directory.join(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == IoError::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error.to_string())),
    };
    let mut text = String::new();
    match file.take(MAX_FILE + 1).read_to_string(&mut text) {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= MAX_FILE) => {
            Ok(Some(TextFile::new(path, text)))
        }
        Ok(_) => Err(unreadable(path, "is larger than 1 MiB")),
        Err(error) => Err(unreadable(path, &error.to_string())),
    }
}

fn unreadable(path: &Path, reason: &str) -> Errors {
    Errors::from(Error {
        kind: ErrorKind::Unreadable,
        source: Some(Source::File(path.to_owned())),
        key: None,
        env: None,
        reason: format!("cannot read the file: {reason}"),
        remedy: "give the path of a text file that this process may read".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("configs")).unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn found(options: Options, env: &[(&str, &str)], directory: &tempfile::TempDir) -> String {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match gather(options, env, directory.path()) {
            Ok(inputs) => format!("{:?} {:?}", inputs.yaml, inputs.dotenv),
            Err(errors) => errors.to_string(),
        }
    }

    /// Spec §8.
    #[test]
    fn default_files_are_read_where_they_exist() {
        let none = directory(&[]);
        assert_eq!(found(Options::default(), &[], &none), "None None");
        let second = directory(&[("configs/config.yaml", "")]);
        assert_eq!(found(Options::default(), &[], &second), "Some(TextFile(configs/config.yaml)) None");
        let both = directory(&[("configs/config.yaml", ""), ("config.yaml", ""), (".env", "")]);
        assert_eq!(found(Options::default(), &[], &both), "Some(TextFile(config.yaml)) Some(TextFile(.env))");
    }

    /// Spec §8: `--env`, `--env-file`, `DISABLE_DOTENV`.
    #[test]
    fn options_choose_the_sources() {
        let directory = directory(&[("config.yaml", ""), (".env", ""), ("my.env", ""), ("my.yaml", "")]);
        let env_only = Options { env_only: true, ..Options::default() };
        assert_eq!(found(env_only.clone(), &[], &directory), "None Some(TextFile(.env))");
        assert_eq!(found(env_only, &[("DISABLE_DOTENV", "1")], &directory), "None None");
        let named =
            Options { config: Some("my.yaml".into()), env_file: Some("my.env".into()), ..Options::default() };
        assert_eq!(
            found(named, &[("DISABLE_DOTENV", "1")], &directory),
            "Some(TextFile(my.yaml)) Some(TextFile(my.env))"
        );
    }

    #[test]
    fn unusable_sources_are_all_reported() {
        let large = " ".repeat(1 << 20) + " ";
        let directory = directory(&[("large.yaml", &large), (".env", "")]);
        let both_missing =
            Options { config: Some("no.yaml".into()), env_file: Some("no.env".into()), ..Options::default() };
        assert_eq!(
            found(both_missing, &[], &directory),
            "the configuration has 2 problems:\n  \
             - no.yaml: cannot read the file: there is no such file; \
             give the path of a text file that this process may read\n  \
             - no.env: cannot read the file: there is no such file; \
             give the path of a text file that this process may read"
        );
        let large = Options { config: Some("large.yaml".into()), ..Options::default() };
        assert!(
            found(large.clone(), &[], &directory).contains("large.yaml: cannot read the file: is larger")
        );
        let contradiction = Options { env_only: true, ..large };
        let report = found(contradiction, &[("DISABLE_DOTENV", "perhaps")], &directory);
        assert!(report.contains("--env reads no file, and --config names large.yaml"), "{report}");
        assert!(report.contains("DISABLE_DOTENV: is not a switch"), "{report}");
    }
}
