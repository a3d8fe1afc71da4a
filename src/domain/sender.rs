//! Who a mail is from: an address, and a name that people see. One line, whatever it was made from (S108).

use std::fmt;

use super::email::Email;

/// Most characters of the name.
const MAX_NAME: usize = 200;

/// The `From` of a mail.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The name that people see.
    pub name: Option<Line>,
    /// The address.
    pub address: Email,
}

/// A text is neither `address` nor `Name <address>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, alone or as `Name <address>`")]
pub struct InvalidSender;

impl Sender {
    /// Parses `address` or `Name <address>`; the name may stand in double quotes.
    ///
    /// # Errors
    /// [`InvalidSender`], also for a control character anywhere.
    pub fn parse(text: &str) -> Result<Self, InvalidSender> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(InvalidSender);
        }
        let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", text),
        };
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        if name.chars().count() > MAX_NAME {
            return Err(InvalidSender);
        }
        let address = Email::parse(address).map_err(|_| InvalidSender)?;
        Ok(Self { name: (!name.is_empty()).then(|| Line::new(name)), address })
    }

    /// The same address under another name.
    #[must_use]
    pub fn named(self, name: Line) -> Self {
        Self { name: Some(name), ..self }
    }
}

/// A text without line breaks and other control characters: what may stand in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// The text in one line: every run of white space and control characters is a single space.
    pub fn new(text: &str) -> Self {
        let parts = text.split(|c: char| c.is_control() || c.is_whitespace());
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        Self(parts.join(" "))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_sender_with_or_without_a_name() {
        for (text, name, address) in [
            ("id@example.com", None, "id@example.com"),
            (" Acme <id@example.com> ", Some("Acme"), "id@example.com"),
            ("\"Acme, Inc.\" <id@example.com>", Some("Acme, Inc."), "id@example.com"),
            ("<id@example.com>", None, "id@example.com"),
        ] {
            let sender = Sender::parse(text).unwrap();
            assert_eq!(sender.name.as_ref().map(Line::as_str), name, "{text}");
            assert_eq!(sender.address.as_str(), address);
        }
    }

    /// S108
    #[test]
    fn whatever_would_end_the_header_is_refused() {
        let long = format!("{} <id@example.com>", "x".repeat(MAX_NAME + 1));
        for bad in [
            "",
            "Acme",
            "Acme <>",
            "Acme <id@example.com",
            "Acme <id@example.com> <b@example.com>, c@example.com",
            "a@example.com, b@example.com",
            "Acme\r\nBcc: victim@example.com <id@example.com>",
            "id@example.com\nBcc: victim@example.com",
            "a\0b <id@example.com>",
            &long,
        ] {
            assert_eq!(Sender::parse(bad).unwrap_err(), InvalidSender, "{bad:?}");
        }
    }

    /// S108
    #[test]
    fn a_line_is_one_line() {
        assert_eq!(Line::new("Hi\r\nBcc: x@y\u{85}z\u{2028}!\u{0}").as_str(), "Hi Bcc: x@y z !");
        assert_eq!(Line::new("  a \t b ").as_str(), "a b");
    }
}
