//! L2: mails: what they say, and the way to the server that takes them.
//!
//! Owns templates, messages and SMTP. May import `domain`, `crypto` and `config`. Must never decide who gets which mail
//! or when it is tried again, never put a link, an address or a password into an error, and never build a header from a
//! text that is not a [`crate::domain::sender::Line`] or a parsed address (S108).

pub mod message;
pub mod smtp;
pub mod templates;

pub use message::Message;
pub use smtp::{SendError, Server, Smtp};
pub use templates::{Look, TemplateError, Templates, Words};
