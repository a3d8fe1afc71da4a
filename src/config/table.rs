//! The one table of all settings, in the order of the documentation.

use super::cluster::ClusterSettings;
use super::setting::Setting;
use super::{
    Admin, Argon2, Audit, Auth, Cache, ControlPlane, Email, Flags, Http, Jwt, Keys, OAuth, Observability,
    Password, Rate, Register, Server, Smtp, Storage, suggest,
};

/// Title of a section in the example file, and its settings.
pub(super) const SECTIONS: &[(&str, &[Setting])] = &[
    ("Public listener and the addresses people and proxies use.", Server::SETTINGS),
    ("Tokens.", Jwt::SETTINGS),
    ("Master keys. Give them by the environment or a secret store, the same on every node.", Keys::SETTINGS),
    ("PostgreSQL: users, sessions, refresh tokens.", Storage::SETTINGS),
    ("Control plane: the replicated catalogue and its files.", ControlPlane::SETTINGS),
    ("Cluster: three nodes with embedded Raft. Lists take ',' and ';'.", ClusterSettings::SETTINGS),
    ("Administrators.", Admin::SETTINGS),
    ("Self-registration.", Register::SETTINGS),
    ("Logins.", Auth::SETTINGS),
    ("OAuth and OpenID Connect.", OAuth::SETTINGS),
    ("Mails to people.", Email::SETTINGS),
    ("Mail server of tenants that have none of their own.", Smtp::SETTINGS),
    ("Password policy.", Password::SETTINGS),
    ("Password hashing (Argon2id).", Argon2::SETTINGS),
    ("Counters of the rate limits.", Cache::SETTINGS),
    (
        "Rate limits in fixed windows; those after the first for each account, ten times as many by address.",
        Rate::SETTINGS,
    ),
    ("Limits of every HTTP listener.", Http::SETTINGS),
    ("Security events.", Audit::SETTINGS),
    ("Logs and metrics.", Observability::SETTINGS),
    ("Switches.", Flags::SETTINGS),
];

/// Every setting.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|(_, settings)| settings.iter())
}

/// The setting with this YAML path.
pub fn by_key(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}

/// True when `name` is a section of the YAML file.
pub(super) fn is_section(name: &str) -> bool {
    all().any(|setting| setting.section() == name)
}

/// What to tell somebody who used a key that does not exist.
pub(super) fn remedy_for_unknown(key: &str) -> String {
    // A short name is near to everything.
    let limit = (key.len() / 4).clamp(1, 3);
    let sections = || SECTIONS.iter().filter_map(|(_, settings)| Some(settings.first()?.section()));
    let by_env = all().find(|setting| setting.env.contains(&key)).map(|setting| setting.key);
    let near = by_env
        .or_else(|| suggest::nearest(key, all().map(|setting| setting.key), limit))
        .or_else(|| suggest::nearest(key, sections(), limit));
    if let Some(near) = near {
        return format!("did you mean {near}?");
    }
    let section = key.split_once('.').map(|(section, _)| section).filter(|section| is_section(section));
    let (what, names): (_, Vec<&str>) = match section {
        Some(section) => (
            format!("keys of {section}"),
            all().filter(|setting| setting.section() == section).map(Setting::leaf).collect(),
        ),
        None => ("sections".to_owned(), sections().collect()),
    };
    format!("the {what} are: {}", names.join(", "))
}
