//! Which mails there are, and what a mailed token is good for.

use std::str::FromStr;

/// What a mail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// Confirm this address.
    Verify,
    /// Choose a new password.
    Reset,
    /// Somebody tried to register an address that has an account (`REGISTER_ENUMERATION_SAFE`).
    Registered,
    /// Somebody logged in from a device that was not seen before.
    NewDevice,
}

/// A text is not the name of a [`MailKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of mail")]
pub struct InvalidMailKind;

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Verify, Self::Reset, Self::Registered, Self::NewDevice];

    /// The name in the database, in metrics and in file names of templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Registered => "registered",
            Self::NewDevice => "new_device",
        }
    }

    /// What the token in its link is good for; `None` for a mail without a link.
    pub const fn purpose(self) -> Option<TokenPurpose> {
        match self {
            Self::Verify => Some(TokenPurpose::Verify),
            Self::Reset | Self::Registered => Some(TokenPurpose::Reset),
            Self::NewDevice => None,
        }
    }
}

impl FromStr for MailKind {
    type Err = InvalidMailKind;
    fn from_str(text: &str) -> Result<Self, InvalidMailKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(InvalidMailKind)
    }
}

/// What a mailed token is good for. One for another purpose is as unknown as a forged one (S73).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenPurpose {
    /// Shows that the address is its owner's.
    Verify,
    /// Sets a new password.
    Reset,
}

impl TokenPurpose {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
        }
    }
}
