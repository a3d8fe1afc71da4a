//! The declaration of one setting, and the macro that makes a typed section out of such declarations.
//!
//! One entry of `section!` is the whole truth about a setting: field, type, default, environment names,
//! exposure, parser and documentation. Nothing else may list settings by hand.

use std::fmt;

use super::resolve::{Resolved, Source};
use super::value::{Invalid, dsn, redis_addr};

/// Where a setting's value comes from when no layer gives one.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// This text, parsed like any other.
    Literal(&'static str),
    /// Computed from other settings.
    Derived {
        /// What it is computed from, for the documentation.
        from: &'static str,
        /// The text, or `None` when the setting it builds on is itself invalid.
        compute: fn(&Resolved) -> Option<String>,
    },
    /// Nothing: start-up fails without it.
    Required {
        /// How to make a value.
        remedy: &'static str,
    },
    /// Nothing, and that is fine.
    Unset {
        /// What its absence means.
        means: &'static str,
    },
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// All of it.
    Public,
    /// Nothing.
    Secret,
    /// A path is shown, key material given inline is not.
    PathOrSecret,
    /// A connection URL without its password.
    Dsn,
    /// As `Dsn`, and an address without a URL around it too.
    RedisUrl,
}

/// One setting of the product.
#[derive(Debug)]
pub struct Setting {
    /// Path in YAML and for `--set`: `section.key`.
    pub key: &'static str,
    /// Names in the environment; the first is the documented one, the others are aliases.
    pub env: &'static [&'static str],
    /// What holds when it is not given.
    pub fallback: Fallback,
    /// What may be shown of its value.
    pub exposure: Exposure,
    doc: &'static str,
}

impl Setting {
    /// For `section!`.
    pub(super) const fn new(
        key: &'static str,
        env: &'static [&'static str],
        fallback: Fallback,
        exposure: Exposure,
        doc: &'static str,
    ) -> Self {
        Self { key, env, fallback, exposure, doc }
    }

    /// What it is, in a sentence or two.
    pub fn doc(&self) -> &'static str {
        self.doc.trim()
    }

    /// The section part of the key.
    pub fn section(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(section, _)| section)
    }

    /// The key within its section.
    pub fn leaf(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, leaf)| leaf)
    }

    /// True when a value must be written as text, because YAML would change what looks like a number.
    pub(super) fn wants_text(&self) -> bool {
        self.exposure != Exposure::Public
    }

    /// The value as it may be printed.
    pub(super) fn redacted(&self, raw: &Raw) -> String {
        let text = match raw {
            Raw::Text(text) => text.clone(),
            Raw::Items(items) => items.join(", "),
        };
        match self.exposure {
            Exposure::Public => text,
            Exposure::Secret => REDACTED.to_owned(),
            Exposure::PathOrSecret if text.contains(PEM_MARK) => REDACTED.to_owned(),
            Exposure::PathOrSecret => text,
            Exposure::Dsn => dsn::redact(&text),
            Exposure::RedisUrl => redis_addr::redact(&text),
        }
    }
}

/// What stands in place of a secret.
pub const REDACTED: &str = "***";
/// What tells PEM text from a path (spec §3.1).
pub(super) const PEM_MARK: &str = "-----BEGIN";

/// A setting with the value that is in force, as far as it may be shown, and its origin.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Which setting.
    pub setting: &'static Setting,
    /// The redacted value; `None` when the setting is unset.
    pub value: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// A value before it is parsed.
#[derive(Clone, PartialEq, Eq)]
pub enum Raw {
    /// A scalar.
    Text(String),
    /// A YAML sequence; a YAML mapping of names to values becomes `name=value` items.
    Items(Vec<String>),
}

/// Most items that a list setting takes; none is meant to have more.
const MAX_ITEMS: usize = 256;

impl Raw {
    /// The scalar, without surrounding spaces.
    pub(super) fn text(&self) -> Result<&str, Invalid> {
        match self {
            Raw::Text(text) => Ok(text.trim()),
            Raw::Items(_) => Err(Invalid::new("is a list", "give a single value")),
        }
    }

    /// The items by the list grammar of spec §3.1: `,` and `;`, also mixed, with spaces; empty items count
    /// for nothing.
    pub(super) fn items(&self) -> Result<Vec<&str>, Invalid> {
        let parts = match self {
            Raw::Text(text) => std::slice::from_ref(text),
            Raw::Items(items) => items,
        };
        let items: Vec<&str> = parts
            .iter()
            .flat_map(|part| part.split([',', ';']))
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect();
        if items.len() > MAX_ITEMS {
            return Err(Invalid::new(
                format!("has {} items", items.len()),
                format!("give at most {MAX_ITEMS}"),
            ));
        }
        Ok(items)
    }
}

/// Raw values can be secrets, so `Debug` shows none.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Text(_) => f.write_str("Text(***)"),
            Raw::Items(items) => write!(f, "Items({} × ***)", items.len()),
        }
    }
}

/// Makes a section: the typed struct, its settings table and the reader.
///
/// ```text
/// /// What the section is about.
/// pub struct Server in "server" {
///     /// What the setting is. One or two sentences; they become the documentation.
///     addr: ListenAddr = Literal(":8080"), env ["SERVER_ADDR"], Public, net::listen_addr;
/// }
/// ```
/// The field name is the YAML key. Forms of the default: `Literal("text")`, `Derived("from what", function)`,
/// `Required("remedy")`, and for a field of type `Option<T>` `Unset("what absence means")`.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident in $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $ty:ty = $form:ident($($arg:expr),+), env [$($env:literal),+], $exposure:ident,
                $parse:expr;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $field: $ty,)+
        }

        impl $name {
            /// The settings of this section, in the order of the fields.
            pub(in $crate::config) const SETTINGS: &'static [$crate::config::setting::Setting] = &[
                $($crate::config::setting::Setting::new(
                    concat!($section, ".", stringify!($field)),
                    &[$($env),+],
                    $crate::config::setting::section!(@fallback $form($($arg),+)),
                    $crate::config::setting::Exposure::$exposure,
                    concat!($($doc),+),
                ),)+
            ];

            /// Reads every field, reporting all that are wrong; `None` when one has no usable value.
            pub(in $crate::config) fn read(
                intake: &mut $crate::config::intake::Intake<'_>,
            ) -> Option<Self> {
                let mut settings = Self::SETTINGS.iter();
                $(let $field = $crate::config::setting::section!(
                    @read $form intake, settings.next(), $parse
                );)+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
    (@fallback Literal($text:expr)) => { $crate::config::setting::Fallback::Literal($text) };
    (@fallback Derived($from:expr, $compute:expr)) => {
        $crate::config::setting::Fallback::Derived { from: $from, compute: $compute }
    };
    (@fallback Required($remedy:expr)) => {
        $crate::config::setting::Fallback::Required { remedy: $remedy }
    };
    (@fallback Unset($means:expr)) => { $crate::config::setting::Fallback::Unset { means: $means } };
    (@read Unset $intake:ident, $setting:expr, $parse:expr) => {
        $setting.map(|setting| $intake.optional(setting, $parse))
    };
    (@read $form:ident $intake:ident, $setting:expr, $parse:expr) => {
        $setting.and_then(|setting| $intake.value(setting, $parse))
    };
}
pub(super) use section;
