//! The directory of `hellojohn dev`: where things are, and the secrets that are made once and kept.

use std::fs::DirBuilder;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::seed::generate_password;
use crate::cli::document;
use crate::cli::failure::Failure;
use crate::cli::session::Variables;
use crate::config::{Inputs, TextFile};
use crate::crypto::secret::SecretString;
use crate::domain::rng::{self, Rng};

const SIGNING: &str = "SIGNING_MASTER_KEY";
const SECRETBOX: &str = "SECRETBOX_MASTER_KEY";
const PASSWORD: &str = "HELLOJOHN_PASSWORD";

/// Where things are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) env: PathBuf,
    pub(super) node: PathBuf,
    pub(super) postgres: PathBuf,
}

/// What is made once and kept in the file `env`. `Debug` shows nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secrets {
    pub(super) signing: SecretString,
    pub(super) secretbox: SecretString,
    pub(super) password: SecretString,
}

impl Place {
    /// Makes the directory. Others may pass through it, because PostgreSQL may run as another user; they can
    /// read nothing.
    pub(super) fn make(root: &Path) -> Result<Self, Failure> {
        let made =
            DirBuilder::new().recursive(true).mode(0o711).create(root).and_then(|()| root.canonicalize());
        let root = made.map_err(|error| {
            Failure::usage(format!("cannot make the directory {}: {error}", root.display()))
                .remedy("name another one with --data")
        })?;
        Ok(Self { env: root.join("env"), node: root.join("node"), postgres: root.join("postgres"), root })
    }

    /// The secrets in the file, or new ones where there is no file.
    pub(super) fn secrets(&self, rng: &dyn Rng) -> Result<Secrets, Failure> {
        match std::fs::metadata(&self.env) {
            Ok(_) => self.kept(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Secrets {
                signing: SecretString::from(STANDARD.encode(rng::bytes::<48>(rng))),
                secretbox: SecretString::from(STANDARD.encode(rng::bytes::<32>(rng))),
                password: generate_password(rng),
            }),
            Err(error) => Err(self.damaged().because(error.to_string())),
        }
    }

    fn kept(&self) -> Result<Secrets, Failure> {
        let text = document::text(&self.env)?;
        let inputs = Inputs { dotenv: Some(TextFile::new(&self.env, text)), ..Inputs::default() };
        let variables = Variables::from(inputs.variables()?);
        let secret = |name: &str| {
            variables
                .get(name)
                .map(SecretString::from)
                .ok_or_else(|| self.damaged().because(format!("it has no {name}")))
        };
        Ok(Secrets { signing: secret(SIGNING)?, secretbox: secret(SECRETBOX)?, password: secret(PASSWORD)? })
    }

    fn damaged(&self) -> Failure {
        Failure::usage(format!("{} cannot be used", self.env.display())).remedy(format!(
            "restore the file, or remove {} with everything in it to start afresh",
            self.root.display()
        ))
    }

    /// Writes the file `env`, which only its owner can read: the secrets, and what a client or another command of
    /// this program needs.
    pub(super) fn write_env(&self, secrets: &Secrets, others: &[(&str, String)]) -> Result<(), Failure> {
        let kept = [
            (SIGNING, secrets.signing.expose()),
            (SECRETBOX, secrets.secretbox.expose()),
            (PASSWORD, secrets.password.expose()),
        ];
        let others = others.iter().map(|(name, value)| (*name, value.as_str()));
        let mut text =
            "# Written by 'hellojohn dev' at each start. The secrets are kept, the rest is not; put\n\
                        # settings of your own into the environment or give them with --set.\n"
                .to_owned();
        for (name, value) in kept.into_iter().chain(others) {
            if value.contains(['\'', '\n', '\\']) {
                return Err(Failure::usage(format!("{name} cannot be written to {}", self.env.display()))
                    .because("it has a quote, a backslash or a line break")
                    .remedy("name another directory with --data"));
            }
            text.push_str(&format!("{name}='{value}'\n"));
        }
        let failed =
            |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", self.env.display()));
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(&self.root).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.env).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::domain::rng::OsRng;

    #[test]
    fn secrets_are_made_once_and_readable_by_their_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(&directory.path().join("a/b")).unwrap();
        let made = place.secrets(&OsRng).unwrap();
        place.write_env(&made, &[("SERVER_ADDR", "127.0.0.1:8080".to_owned())]).unwrap();
        assert_eq!(std::fs::metadata(&place.env).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(place.secrets(&OsRng).unwrap(), made);
        place.write_env(&made, &[]).unwrap();
        assert_eq!(place.secrets(&OsRng).unwrap(), made);
        assert!(made.password.expose().len() >= 24);
        assert!(!format!("{made:?}").contains(made.signing.expose()));
    }

    #[test]
    fn a_damaged_file_is_refused_instead_of_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        std::fs::write(&place.env, "SIGNING_MASTER_KEY='x'\n").unwrap();
        let failure = place.secrets(&OsRng).unwrap_err();
        assert_eq!(failure.particulars, ["it has no SECRETBOX_MASTER_KEY"]);
        assert_eq!(std::fs::read_to_string(&place.env).unwrap(), "SIGNING_MASTER_KEY='x'\n");
    }

    #[test]
    fn a_value_that_would_break_out_of_its_quotes_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let secrets = place.secrets(&OsRng).unwrap();
        let refused = place.write_env(&secrets, &[("CONTROL_PLANE_FS_ROOT", "a'b".to_owned())]).unwrap_err();
        assert!(refused.what.starts_with("CONTROL_PLANE_FS_ROOT"), "{refused}");
        assert!(!place.env.exists());
    }
}
