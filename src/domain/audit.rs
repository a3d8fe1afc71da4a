//! Security events as they are kept (spec §10): who did what to whom, from where, with which outcome.
//!
//! Must never hold a password, a token or an e-mail address (S111, S112): a person is named by the account's id, and
//! somebody who is nobody here by nothing at all.

mod action;

use hellojohn_control::Timestamp;
use uuid::Uuid;

pub use action::{Action, AdminAction};

/// The tenant in the rows of what belongs to none: the cluster and its nodes. No slug looks like it.
pub const SYSTEM: &str = "_system";

/// Most bytes of an actor and of a target in a row.
pub const MAX_NAME: usize = 512;
/// Most bytes of a user agent in a row.
pub const MAX_AGENT: usize = 1024;
/// Most bytes of a request id in a row.
pub const MAX_REQUEST_ID: usize = 256;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// Refused, for this stable reason. Tells more than the answer did: the log is the operator's.
    Refused(&'static str),
}

impl Outcome {
    /// The stable name in lines, rows and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused(_) => "refused",
        }
    }

    /// Why it was refused.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ok => None,
            Self::Refused(reason) => Some(reason),
        }
    }
}

/// An event as a row has it, within the limits of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The row's own name.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Who: `tenant/subject`.
    pub actor: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// Through which client.
    pub client_id: Option<&'a str>,
    /// Under which request.
    pub request_id: String,
    /// From where.
    pub ip: String,
    /// With which program.
    pub user_agent: Option<String>,
}

/// The text without what cannot be seen or turns round what stands beside it, cut at a character within so many bytes.
pub fn bounded(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars().filter(|c| !c.is_control() && !is_invisible(*c)) {
        if out.len() + c.len_utf8() > max {
            break;
        }
        out.push(c);
    }
    out
}

/// Separators of lines, joiners, and what changes the direction of text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S108: whoever calls cannot write more into a row than there is room for, or what nobody sees.
    #[test]
    fn a_text_is_cut_at_a_character_and_has_nothing_invisible() {
        let agent = format!("curl\u{0}\n\u{202e}/8 {}", "\u{e4}".repeat(1000));
        let kept = bounded(&agent, MAX_AGENT);
        assert!(kept.starts_with("curl/8 \u{e4}"), "{kept}");
        assert_eq!(kept.len(), 1023);
        assert_eq!(bounded("\u{0}\u{feff}", 8), "");
    }
}
