//! A refusal that says one thing to the caller and more to the audit.

use crate::service::account::AccountService;
use crate::service::audit::Event;
use crate::service::{Code, Error};

/// Why something was refused: for the log, never for the answer.
pub(in crate::service::account) type Why = &'static str;

/// An error, and the reason that the audit is told.
#[derive(Debug)]
pub(in crate::service::account) struct Refusal {
    pub(in crate::service::account) error: Error,
    pub(in crate::service::account) why: Why,
    /// Whether the audit was told already, with what was counted.
    pub(in crate::service::account) told: bool,
}

/// What somebody may have, or why not.
pub(in crate::service::account) type Judged<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub(in crate::service::account) fn new(code: Code, why: Why) -> Self {
        Self { error: Error::new(code).context(why), why, told: false }
    }

    /// One of which the audit was told.
    pub(in crate::service::account) fn told(error: Error, why: Why) -> Self {
        Self { error, why, told: true }
    }
}

/// The reason is the error's own name.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { why: error.code().as_str(), error, told: false }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Error::new(code).into()
    }
}

impl AccountService {
    /// Tells of a refusal, unless it was told with what was counted; what the caller is to hear of it.
    pub(in crate::service::account) async fn refuse(&self, event: &Event<'_>, refusal: Refusal) -> Error {
        let Refusal { error, why, told } = refusal;
        if !told {
            self.0.stores.refuse(event, why, &error).await;
        }
        error
    }

    /// Gives the result on; tells of the refusal, if it is one.
    ///
    /// # Errors
    /// That of the refusal.
    pub(in crate::service::account) async fn heard<T>(
        &self,
        event: &Event<'_>,
        judged: Judged<T>,
    ) -> crate::service::Result<T> {
        match judged {
            Ok(value) => Ok(value),
            Err(refusal) => Err(self.refuse(event, refusal).await),
        }
    }
}
