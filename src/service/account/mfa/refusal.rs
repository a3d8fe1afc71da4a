//! A refusal that says one thing to the caller and more to the audit.

use crate::service::audit::Outcome;
use crate::service::{Code, Error};

/// Why something was refused: for the log, never for the answer.
pub(in crate::service::account) type Why = &'static str;

/// An error, and the reason that the audit is told.
#[derive(Debug)]
pub(in crate::service::account) struct Refusal {
    pub(in crate::service::account) error: Error,
    pub(in crate::service::account) why: Why,
}

/// What somebody may have, or why not.
pub(in crate::service::account) type Judged<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub(in crate::service::account) fn new(code: Code, why: Why) -> Self {
        Self { error: Error::new(code).context(why), why }
    }
}

/// The reason is the error's own name.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { why: error.code().as_str(), error }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Error::new(code).into()
    }
}

/// How the audit is told of it.
pub(in crate::service::account) fn outcome_of<T>(judged: &Judged<T>) -> Outcome {
    match judged {
        Ok(_) => Outcome::Ok,
        Err(refusal) => Outcome::Refused(refusal.why),
    }
}
