//! Parsers: text to typed value. Every one limits sizes and names the remedy.

pub mod dsn;
pub mod duration;
pub mod net;
pub mod pem;
pub mod redis_addr;
pub mod url;

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use super::setting::Raw;

/// Why a text is not a value of its setting, and what to write instead. Parsers of secret settings must
/// not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Continues "server.addr (SERVER_ADDR): ".
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl Invalid {
    pub(super) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

/// The text in quotes, shortened and with control characters escaped, for an error about a public setting.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        format!("{text:?}")
    } else {
        format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
    }
}

/// A switch.
pub(super) fn switch(raw: &Raw) -> Result<bool, Invalid> {
    let text = raw.text()?;
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => Err(Invalid::new(format!("{} is not a switch", quoted(text)), "write 1 or 0")),
    }
}

/// A whole number from `min` to `max`.
pub(super) fn whole<T: FromStr + PartialOrd + Display + Copy>(
    min: T,
    max: T,
) -> impl Fn(&Raw) -> Result<T, Invalid> {
    move |raw| {
        let text = raw.text()?;
        let number: Option<T> = text.parse().ok();
        number.filter(|number| (min..=max).contains(number)).ok_or_else(|| {
            Invalid::new(
                format!("{} is not a whole number in range", quoted(text)),
                format!("write a number from {min} to {max}"),
            )
        })
    }
}

/// A size in bytes from `min` to `max`: plain, or with `KiB`, `MiB`, `GiB`.
pub(super) fn bytes(min: usize, max: usize) -> impl Fn(&Raw) -> Result<usize, Invalid> {
    move |raw| {
        let text = raw.text()?;
        let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let factor: Option<usize> = match unit.trim() {
            "" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let size = digits.parse::<usize>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
        size.filter(|size| (min..=max).contains(size)).ok_or_else(|| {
            Invalid::new(
                format!("{} is not a size in range", quoted(text)),
                format!("write bytes from {min} to {max}, or a number with KiB, MiB or GiB"),
            )
        })
    }
}

/// A path; not looked at.
pub(super) fn path(raw: &Raw) -> Result<PathBuf, Invalid> {
    let text = raw.text()?;
    if text.contains('\0') {
        return Err(Invalid::new("holds a NUL character", "give a path"));
    }
    Ok(PathBuf::from(text))
}

/// A path of a file that must be there.
pub(super) fn existing_file(raw: &Raw) -> Result<PathBuf, Invalid> {
    let path = path(raw)?;
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => Err(Invalid::new(
            format!("{} is not a file", quoted(&path.to_string_lossy())),
            "give the path of a file",
        )),
        Err(error) => Err(Invalid::new(
            format!("cannot read {}: {error}", quoted(&path.to_string_lossy())),
            "give the path of a file that this process may read",
        )),
    }
}

/// A list of short texts.
pub(super) fn texts(raw: &Raw) -> Result<Vec<String>, Invalid> {
    each(raw, |item| {
        if item.len() > 256 || item.chars().any(char::is_control) {
            return Err(Invalid::new(
                format!("{} is too long or holds control characters", quoted(item)),
                "give at most 256 printable bytes an item",
            ));
        }
        Ok(item.to_owned())
    })
}

/// A list of which `parse` reads each item.
pub(super) fn each<T>(raw: &Raw, parse: impl Fn(&str) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
    raw.items()?.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
