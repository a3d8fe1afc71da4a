//! A mail as it goes to the server: headers made from parsed parts only (S108), a text and an HTML part.

use std::time::{Duration, UNIX_EPOCH};

use hellojohn_control::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message as Letter};
use uuid::Uuid;

use super::smtp::SendError;
use super::templates::Rendered;
use crate::domain::email::Email;
use crate::domain::sender::{Line, Sender};

/// A mail to one person.
#[derive(Debug)]
pub struct Message<'a> {
    /// Identity; the same for each attempt, so that a mail that comes twice can be told as one.
    pub id: Uuid,
    /// When it was written.
    pub written: Timestamp,
    /// Who it is from.
    pub from: &'a Sender,
    /// Who gets it.
    pub to: &'a Email,
    /// What it says.
    pub content: &'a Rendered,
}

impl Message<'_> {
    pub(super) fn letter(&self) -> Result<Letter, SendError> {
        let from = address(&self.from.address)?;
        let message_id = format!("<{}@{}>", self.id, from.domain());
        let millis = u64::try_from(self.written.millis()).unwrap_or(0);
        Letter::builder()
            .message_id(Some(message_id))
            .date(UNIX_EPOCH + Duration::from_millis(millis))
            .from(Mailbox::new(self.from.name.as_ref().map(Line::to_string), from))
            .to(Mailbox::new(None, address(self.to)?))
            .subject(self.content.subject.as_str())
            // No answering machine answers it (RFC 3834 §5).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(
                self.content.text.clone(),
                self.content.html.clone(),
            ))
            .map_err(|error| SendError::Unusable(format!("the mail cannot be built: {error}")))
    }
}

/// The address with its domain in ASCII, as servers without RFC 6531 need it.
fn address(email: &Email) -> Result<Address, SendError> {
    let local = email.as_str().rsplit_once('@').map_or("", |(local, _)| local);
    let domain = email.key().rsplit_once('@').map_or("", |(_, domain)| domain);
    // The library's text repeats nothing of the address.
    Address::new(local, domain).map_err(|error| SendError::Unusable(format!("an address: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(name: &str, subject: &str) -> String {
        let from = Sender::parse("id@example.com").unwrap().named(Line::new(name));
        let content = Rendered {
            subject: Line::new(subject),
            text: "text part".to_owned(),
            html: "<p>html part</p>".to_owned(),
        };
        let message = Message {
            id: Uuid::nil(),
            written: Timestamp::from_secs(1_800_000_000),
            from: &from,
            to: &Email::parse("Ann@BÜCHER.example").unwrap(),
            content: &content,
        };
        String::from_utf8(message.letter().unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message_has_both_parts_and_a_stable_identity() {
        let text = formatted("Acme", "Hello");
        assert!(
            text.contains("Message-ID: <00000000-0000-0000-0000-000000000000@example.com>\r\n"),
            "{text}"
        );
        assert!(text.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"), "{text}");
        assert!(text.contains("To: Ann@xn--bcher-kva.example\r\n"), "{text}");
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.contains("multipart/alternative"), "{text}");
        assert!(text.contains("text part") && text.contains("<p>html part</p>"), "{text}");
    }

    /// S108
    #[test]
    fn no_name_and_no_subject_begins_a_header_of_its_own() {
        for bad in
            ["x\r\nBcc: v@example.com", "x\nBcc: v@example.com", "x\rBcc: v@example.com", "\"\r\n\r\nBody"]
        {
            let text = formatted(bad, bad);
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            let names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split_once(':').unwrap().0)
                .collect();
            assert_eq!(
                names,
                [
                    "Message-ID",
                    "Date",
                    "From",
                    "To",
                    "Subject",
                    "Auto-Submitted",
                    "MIME-Version",
                    "Content-Type"
                ],
                "{text}"
            );
        }
    }
}
