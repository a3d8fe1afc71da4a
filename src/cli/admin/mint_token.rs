//! `hellojohn admin mint-token`: a break-glass token, made without any server (spec §6, §13.12).
//!
//! Reads the projected keys of this host. Must never be called by another command unless the caller said so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hellojohn_control::documents::{Alg, KeySet, KeyState, SigningKey};
use serde_json::json;

use crate::cli::document;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::Output;
use crate::config::value::duration;
use crate::config::{Config, yaml};
use crate::crypto::sealed::Sealer;
use crate::crypto::secret::SecretString;
use crate::domain::clock::Clock;
use crate::domain::rng::Rng;
use crate::service::break_glass::{self, BreakGlass, mint_break_glass};

/// Most files of keys that are looked at.
const MAX_KEYS: usize = 1_000;

/// Make a short-lived administrator token on the host of a node
///
/// Works without a server and without a database, for whoever may read SIGNING_MASTER_KEY and the files under
/// CONTROL_PLANE_FS_ROOT. Prints the token and nothing else. Give the command the options of the node
/// (--config, --env, --env-file), so that it finds the same configuration. At most 10 minutes.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  export HELLOJOHN_BEARER=$(hellojohn admin mint-token)
  hellojohn --env-file .local/env admin mint-token --sub alice --ttl 10m")]
pub struct MintToken {
    /// Who it is for; stands in the audit log of everything that is done with it
    #[arg(long, value_name = "NAME", default_value = "break-glass")]
    sub: String,
    /// How long it lives, 1s to 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = life)]
    ttl: Duration,
}

impl MintToken {
    #[expect(clippy::unused_async, reason = "every command under admin is run the same way")]
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let config = session.config()?.config;
        let (clock, rng) = (session.clock.as_ref(), session.rng.as_ref());
        let token = mint(&config, &self.sub, self.ttl, clock, rng)?;
        match session.terminal.output() {
            Output::Human => session.terminal.raw(&format!("{}\n", token.expose()))?,
            Output::Json => {
                let shown = json!({ "access_token": token.expose(), "expires_in": self.ttl.as_secs() });
                session.terminal.raw(&format!("{shown:#}\n"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// Makes a break-glass token from the files and the master key of this host.
///
/// # Errors
/// When there is no key, or it does not open.
pub fn mint(
    config: &Config,
    subject: &str,
    life: Duration,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<SecretString, Failure> {
    let sealer = Sealer::signing(config.keys.signing_master_key.expose())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let directory = config.control_plane.fs_root.join("keys").join(KeySet::Global.as_str());
    let key = signing_key(&directory)?;
    let wanted = BreakGlass { issuer: config.jwt.issuer.as_str(), subject, life, now: clock.now() };
    mint_break_glass(Arc::new(sealer), &key, rng, &wanted).map_err(|error| {
        let text = error.to_string();
        let exit = match error {
            break_glass::MintError::Life | break_glass::MintError::Subject => Exit::Usage,
            break_glass::MintError::Key(_) => Exit::NotAuthorised,
            break_glass::MintError::Sign(_) => Exit::Failed,
        };
        Failure::new(exit, text).while_doing("no token was made")
    })
}

/// The global key that signs now, as the files say.
fn signing_key(directory: &Path) -> Result<SigningKey, Failure> {
    let hopeless = |what: String| {
        Failure::failed(what).remedy(
            "run this on the host of a node, with the node's options (--config, --env, --env-file), as a user \
             that may read CONTROL_PLANE_FS_ROOT; a new cluster has keys once it has formed",
        )
    };
    let entries = std::fs::read_dir(directory)
        .map_err(|error| hopeless(format!("cannot read the keys in {}: {error}", directory.display())))?;
    let mut active: Vec<SigningKey> = Vec::new();
    for entry in entries.take(MAX_KEYS) {
        let entry = entry
            .map_err(|error| hopeless(format!("cannot read the keys in {}: {error}", directory.display())))?;
        let path = entry.path();
        // A link or directory was not put there by a node.
        let is_key = path.extension().is_some_and(|extension| extension == "yaml")
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_key {
            continue;
        }
        let key: SigningKey = yaml::from_str(&document::text(&path)?).map_err(|error| {
            hopeless(format!("{} is not a signing key", path.display())).because(error.to_string())
        })?;
        if key.state == KeyState::Active && key.alg == Alg::EdDsa {
            active.push(key);
        }
    }
    // Two for a moment, when a rotation is being written: the newer one is the leader's choice.
    active.sort_by_key(|key| key.not_before);
    active.pop().ok_or_else(|| hopeless(format!("{} holds no key that signs", directory.display())))
}

fn life(text: &str) -> Result<Duration, String> {
    let limits = Duration::from_secs(1)..=break_glass::MAX_LIFE;
    duration::parse(text)
        .filter(|life| limits.contains(life) && life.subsec_millis() == 0)
        .ok_or_else(|| "write a duration from 1s to 10m".to_owned())
}

#[cfg(test)]
mod tests {
    use hellojohn_control::Timestamp;
    use hellojohn_control::documents::NewKey;

    use super::*;
    use crate::config::{Inputs, load};
    use crate::crypto::jwt::{Expect, Unverified, keys_of};
    use crate::crypto::keys::mint_eddsa;
    use crate::domain::clock::ManualClock;
    use crate::domain::rng::OsRng;

    const MASTER_KEY: &str = "0123456789abcdef0123456789abcdef";

    struct Host {
        directory: tempfile::TempDir,
        config: Config,
        now: Timestamp,
    }

    impl Host {
        fn new(master_key: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let env = [
                ("SIGNING_MASTER_KEY", master_key),
                ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
                ("JWT_ISSUER", "https://id.example.com"),
                ("CONTROL_PLANE_FS_ROOT", directory.path().to_str().unwrap()),
            ];
            let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let config = load(&Inputs { env, ..Inputs::default() }).unwrap().config;
            std::fs::create_dir_all(directory.path().join("keys/_global")).unwrap();
            Self { directory, config, now: Timestamp::from_secs(1_800_000_000) }
        }

        fn key(&self, state: KeyState, not_before: i64) -> SigningKey {
            let sealer = Sealer::signing(MASTER_KEY).unwrap();
            let NewKey { kid, alg, public_jwk, private_key } = mint_eddsa(&OsRng, &sealer, None).unwrap();
            let not_before = Timestamp::from_secs(not_before);
            let key = SigningKey {
                kid,
                alg,
                public_jwk,
                private_key,
                state,
                not_before,
                activation: None,
                retire_at: None,
                created_at: not_before,
            };
            // JSON is YAML.
            let text = serde_json::to_string(&key).unwrap();
            let name = format!("keys/_global/{}.yaml", key.kid.as_str());
            std::fs::write(self.directory.path().join(name), text).unwrap();
            key
        }

        fn mint(&self) -> Result<SecretString, Failure> {
            mint(&self.config, "alice", Duration::from_secs(300), &ManualClock::at(self.now), &OsRng)
        }
    }

    /// Spec §6, §13.12: the token that is made offline verifies with the public half of the active key.
    #[test]
    fn a_token_verifies_with_the_key_that_signs_now() {
        let host = Host::new(MASTER_KEY);
        host.key(KeyState::Retiring, 3);
        host.key(KeyState::Active, 1);
        let newest = host.key(KeyState::Active, 2);
        host.key(KeyState::Next, 4);
        let token = host.mint().unwrap();
        let expect =
            Expect { issuer: "https://id.example.com", audience: None, tenant: Some(break_glass::TENANT) };
        let find = keys_of(|kid| (*kid == newest.kid).then_some(&newest));
        let claims =
            Unverified::parse(token.expose()).and_then(|t| t.verify(&find, host.now, &expect)).unwrap();
        assert_eq!((claims.sub.as_str(), claims.exp - claims.iat), ("alice", 300));
        let late = host.now.plus(Duration::from_secs(301));
        assert!(Unverified::parse(token.expose()).and_then(|t| t.verify(&find, late, &expect)).is_err());
    }

    #[test]
    fn another_master_key_opens_nothing() {
        let host = Host::new("another-master-key-0123456789abcdef");
        host.key(KeyState::Active, 1);
        let failure = host.mint().unwrap_err();
        assert_eq!(failure.exit, Exit::NotAuthorised);
        assert!(failure.what.contains("SIGNING_MASTER_KEY"), "{failure}");
    }

    #[test]
    fn without_a_key_that_signs_the_way_to_one_is_told() {
        let host = Host::new(MASTER_KEY);
        host.key(KeyState::Next, 1);
        std::fs::create_dir(host.directory.path().join("keys/_global/odd.yaml")).unwrap();
        let failure = host.mint().unwrap_err();
        assert!(failure.what.ends_with("holds no key that signs"), "{failure}");
        assert!(failure.remedy.unwrap().contains("--env-file"));
        std::fs::remove_dir_all(host.directory.path().join("keys")).unwrap();
        assert!(host.mint().unwrap_err().what.starts_with("cannot read the keys in"));
    }

    #[test]
    fn a_life_is_one_second_to_ten_minutes() {
        assert_eq!(life("10m"), Ok(Duration::from_secs(600)));
        for bad in ["0s", "601", "1500ms", "", "1h"] {
            assert!(life(bad).is_err(), "{bad}");
        }
    }
}
