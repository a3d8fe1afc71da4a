//! `hellojohn keys …`: the signing keys of the global issuer or of a tenant (EP109, spec §13.3).

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use hellojohn_control::Slug;
use hellojohn_control::documents::Alg;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::connection::Connection;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::terminal::{cell, pairs, table};
use crate::config::value::duration;

/// The commands under `keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List the keys with their states
    ///
    /// next: published, not signing yet. active: signs. retiring: signs no more, published until its time.
    /// retired: no longer published.
    #[command(after_long_help = "Examples:
  hellojohn keys list
  hellojohn keys list --tenant acme --output json")]
    List(List),
    /// Make a new key that signs from now on
    ///
    /// The old key stays published for the grace, so that tokens signed with it verify until they expire.
    /// Without --activate now, the new key signs once every node that answers has it.
    #[command(after_long_help = "Examples:
  hellojohn keys rotate --grace-seconds 3600
  hellojohn keys rotate --tenant acme
  hellojohn keys rotate --alg RS256 --prepublish-seconds 86400
  hellojohn keys rotate --activate now --grace-seconds 0     # after a compromise")]
    Rotate(Rotate),
    /// Take the key that signs now out of use; it stays published for a time
    ///
    /// The same as 'keys rotate' with the time as grace: a new key signs from now on, and the leader retires the
    /// old one when the time is over. Keys whose grace is over are retired without any command.
    #[command(after_long_help = "Examples:
  hellojohn keys retire --retire-after 168h
  hellojohn keys retire --retire-after 1h --tenant acme")]
    Retire(Retire),
}

/// Options of `keys list`.
#[derive(Debug, Args)]
pub struct List {
    /// Tenant with keys of its own; the global keys without it
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Option<Slug>,
    #[command(flatten)]
    connection: Connection,
}

/// When a new key starts to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Activate {
    /// At once.
    Now,
}

/// Keys of which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256.
    #[value(name = "ES256")]
    Es256,
    /// RSA with 2048 bits.
    #[value(name = "RS256")]
    Rs256,
}

impl From<Algorithm> for Alg {
    fn from(alg: Algorithm) -> Self {
        match alg {
            Algorithm::EdDsa => Self::EdDsa,
            Algorithm::Es256 => Self::Es256,
            Algorithm::Rs256 => Self::Rs256,
        }
    }
}

/// Options of `keys rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Tenant with keys of its own; the global keys without it
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Option<Slug>,
    /// Seconds that the old key stays published; KEY_ROTATION_GRACE_SECONDS of the node without it
    #[arg(long, value_name = "N")]
    grace_seconds: Option<u32>,
    /// Seconds that the new key is published before it signs
    #[arg(long, value_name = "N")]
    prepublish_seconds: Option<u32>,
    /// Sign at once, without waiting until every node has the key
    #[arg(long, value_name = "WHEN", conflicts_with = "prepublish_seconds")]
    activate: Option<Activate>,
    /// Which of the keys; EdDSA without it
    #[arg(long, value_name = "ALG")]
    alg: Option<Algorithm>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `keys retire`.
#[derive(Debug, Args)]
pub struct Retire {
    /// How long the old key stays published: 168h, 7d, 30m
    #[arg(long, value_name = "DURATION", value_parser = whole_seconds)]
    retire_after: u32,
    /// Tenant with keys of its own; the global keys without it
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Option<Slug>,
    /// Which of the keys; EdDSA without it
    #[arg(long, value_name = "ALG")]
    alg: Option<Algorithm>,
    #[command(flatten)]
    connection: Connection,
}

impl Keys {
    /// Runs the command.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Keys::List(List { tenant, connection }) => {
                let api = connection.authorised(session).await?;
                list(&api, tenant.as_ref(), session).await
            }
            Keys::Rotate(rotate) => {
                let api = rotate.connection.authorised(session).await?;
                let wanted = Rotation {
                    grace_seconds: rotate.grace_seconds,
                    prepublish_seconds: rotate.prepublish_seconds,
                    now: rotate.activate == Some(Activate::Now),
                    alg: rotate.alg.map(Alg::from),
                };
                self::rotate(&api, rotate.tenant.as_ref(), &wanted, session).await
            }
            Keys::Retire(retire) => {
                let api = retire.connection.authorised(session).await?;
                let (grace_seconds, alg) = (Some(retire.retire_after), retire.alg.map(Alg::from));
                let wanted = Rotation { grace_seconds, alg, ..Rotation::default() };
                self::rotate(&api, retire.tenant.as_ref(), &wanted, session).await
            }
        }
    }
}

/// How keys are to be rotated.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rotation {
    /// How long the old key stays published.
    pub(super) grace_seconds: Option<u32>,
    /// How long the new one is published before it signs.
    pub(super) prepublish_seconds: Option<u32>,
    /// Sign at once.
    pub(super) now: bool,
    /// Of which algorithm.
    pub(super) alg: Option<Alg>,
}

/// Rotates the keys of a tenant, or the global ones, and shows what came of it.
pub(super) async fn rotate(
    api: &Api,
    tenant: Option<&Slug>,
    wanted: &Rotation,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let mut body = Map::new();
    if let Some(grace) = wanted.grace_seconds {
        body.insert("graceSeconds".to_owned(), json!(grace));
    }
    if let Some(prepublish) = wanted.prepublish_seconds {
        body.insert("prepublishSeconds".to_owned(), json!(prepublish));
    }
    if wanted.now {
        body.insert("activate".to_owned(), json!("now"));
    }
    if let Some(alg) = wanted.alg {
        body.insert("alg".to_owned(), json!(alg));
    }
    let path = format!("{}/rotate", path(tenant));
    let answer = api.post(&path, &Value::Object(body)).await.map_err(|error| {
        Failure::from(error).while_doing(format!("cannot rotate the keys of {}", named(tenant)))
    })?;
    session.terminal.show(&answer.body, || {
        let retiring = answer.body.get("retiring").and_then(Value::as_array).map(Vec::as_slice);
        let retiring: Vec<String> = retiring
            .unwrap_or_default()
            .iter()
            .map(|key| format!("{} until {}", cell(key, "/kid"), cell(key, "/retire_at")))
            .collect();
        pairs(&[
            ("new key", cell(&answer.body, "/kid")),
            ("algorithm", cell(&answer.body, "/alg")),
            ("state", cell(&answer.body, "/state")),
            ("still published", retiring.join(", ")),
        ])
    })?;
    Ok(Exit::Ok)
}

async fn list(api: &Api, tenant: Option<&Slug>, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut keys = api.list(&path(tenant)).await.map_err(|error| {
        Failure::from(error).while_doing(format!("cannot list the keys of {}", named(tenant)))
    })?;
    keys.sort_by_key(|key| cell(key, "/created_at"));
    session.terminal.show(&json!({ "items": keys }), || {
        let columns = ["/kid", "/alg", "/state", "/created_at", "/not_before", "/retire_at"];
        let rows: Vec<Vec<String>> =
            keys.iter().map(|key| columns.iter().map(|column| cell(key, column)).collect()).collect();
        table(&["KID", "ALG", "STATE", "CREATED", "SIGNS FROM", "RETIRES"], &rows, "no keys")
    })?;
    Ok(Exit::Ok)
}

fn path(tenant: Option<&Slug>) -> String {
    match tenant {
        None => "/v1/admin/keys".to_owned(),
        Some(slug) => format!("/v1/admin/tenants/{slug}/keys"),
    }
}

fn named(tenant: Option<&Slug>) -> String {
    tenant.map_or_else(|| "the global issuer".to_owned(), |slug| format!("the tenant {slug}"))
}

/// A duration in whole seconds.
fn whole_seconds(text: &str) -> Result<u32, String> {
    let duration: Option<Duration> = duration::parse(text);
    duration
        .filter(|duration| duration.subsec_millis() == 0)
        .and_then(|duration| u32::try_from(duration.as_secs()).ok())
        .ok_or_else(|| "write a duration of whole seconds, for example 168h, 7d or 30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_whole_seconds() {
        assert_eq!(whole_seconds("168h"), Ok(604_800));
        assert_eq!(whole_seconds("7d"), Ok(604_800));
        assert_eq!(whole_seconds("90"), Ok(90));
        for bad in ["1500ms", "", "soon", "-1h", "9999999h"] {
            assert!(whole_seconds(bad).is_err(), "{bad}");
        }
    }
}
