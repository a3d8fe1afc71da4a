//! What is sealed in a row of the outbox: the recipient and all that differs from mail to mail. The rest, look and server, is
//! that of the moment when it is sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::email::Email;
use crate::domain::sender::Line;
use crate::mail::Words;

/// The content of a mail. Its JSON is part of the format on disk: members are added, never changed.
#[derive(Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) to: Email,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) valid_for: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<String>,
}

impl Letter {
    pub(super) fn to(email: &Email, name: Option<&str>) -> Self {
        let to = email.clone();
        let name = name.map(str::to_owned);
        Self { to, name, link: None, valid_for: None, at: None, ip: None, user_agent: None }
    }

    pub(super) fn encode(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        serde_json::to_vec(self).map(Zeroizing::new)
    }

    pub(super) fn decode(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// For the templates: every text from outside in one line.
    pub(super) fn words(&self) -> Words {
        let line = |text: &Option<String>| text.as_deref().map(Line::new);
        Words {
            name: line(&self.name),
            link: self.link.clone(),
            valid_for: self.valid_for.clone(),
            at: self.at.clone(),
            ip: self.ip.clone(),
            user_agent: line(&self.user_agent),
        }
    }
}

/// A duration as people say it.
pub(super) fn in_words(life: Duration) -> String {
    let minutes = life.as_secs().div_ceil(60);
    let (count, unit) = match minutes {
        _ if minutes.is_multiple_of(24 * 60) && minutes > 24 * 60 => (minutes / (24 * 60), "day"),
        _ if minutes.is_multiple_of(60) => (minutes / 60, "hour"),
        _ => (minutes, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_that_fits() {
        for (seconds, words) in [
            (3600, "1 hour"),
            (86_400, "24 hours"),
            (2 * 86_400, "2 days"),
            (1800, "30 minutes"),
            (5400, "90 minutes"),
            (61, "2 minutes"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    /// Pins the format on disk: what an earlier release wrote is read for ever.
    #[test]
    fn a_letter_of_an_earlier_release_is_read() {
        let old =
            r#"{"to":"ann@example.com","name":"Ann","link":"https://id/reset?token=t","valid_for":"1 hour"}"#;
        let letter = Letter::decode(old.as_bytes()).unwrap();
        assert_eq!(letter.to.as_str(), "ann@example.com");
        assert_eq!(letter.link.as_deref(), Some("https://id/reset?token=t"));
        assert_eq!(String::from_utf8(letter.encode().unwrap().to_vec()).unwrap(), old);
    }

    /// S108
    #[test]
    fn texts_of_people_are_lines_before_a_template_sees_them() {
        let email = Email::parse("ann@example.com").unwrap();
        let letter = Letter {
            user_agent: Some("Mozilla\r\nX: y".to_owned()),
            ..Letter::to(&email, Some("Ann\r\nBcc: x@y"))
        };
        let words = letter.words();
        assert_eq!(words.name.as_ref().map(Line::as_str), Some("Ann Bcc: x@y"));
        assert_eq!(words.user_agent.as_ref().map(Line::as_str), Some("Mozilla X: y"));
    }
}
