//! How a command ends: exit codes that mean something, and errors that say what happened, why, and what to do.
//!
//! Owns the two forms of an error (for people, for programs). Must never hold a credential: whoever makes a
//! failure passes texts that may be shown.

use std::fmt;

use serde_json::{Map, Value, json};

use super::terminal::printable;

/// Exit codes of the program; stable, scripts branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Not done, for a reason that none of the others names.
    Failed,
    /// The command line, a file given to it or the configuration is wrong.
    Usage,
    /// No credentials, or they do not allow this.
    NotAuthorised,
    /// The document has changed, exists already, or another node leads.
    Conflict,
    /// Nobody can do it now: no leader, no answer, no connection. Trying again later may help.
    Unavailable,
}

impl Exit {
    /// The code that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotAuthorised => 3,
            Exit::Conflict => 4,
            Exit::Unavailable => 5,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, as one sentence without a full stop.
    pub what: String,
    /// Particulars, one line each.
    pub particulars: Vec<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Code of the server's error, where the server refused.
    pub code: Option<String>,
    /// Request id under which the server logged it.
    pub request_id: Option<String>,
}

impl Failure {
    /// A failure of the kind `exit`.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), particulars: Vec::new(), remedy: None, code: None, request_id: None }
    }

    /// Something went wrong.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// The command line, a file or the configuration is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// With one more particular.
    #[must_use]
    pub fn because(mut self, particular: impl Into<String>) -> Self {
        self.particulars.push(particular.into());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With the work that it interrupted in front: "cannot seed the tenant acme: …".
    #[must_use]
    pub fn while_doing(mut self, work: impl fmt::Display) -> Self {
        self.what = format!("{work}: {}", self.what);
        self
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let mut error = Map::from_iter([
            ("what".to_owned(), json!(self.what)),
            ("exit_code".to_owned(), json!(self.exit.code())),
        ]);
        if !self.particulars.is_empty() {
            error.insert("particulars".to_owned(), json!(self.particulars));
        }
        for (name, value) in
            [("remedy", &self.remedy), ("code", &self.code), ("request_id", &self.request_id)]
        {
            if let Some(value) = value {
                error.insert(name.to_owned(), json!(value));
            }
        }
        json!({ "error": error })
    }
}

/// For people: several lines, no control characters but the line ends.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", printable(&self.what))?;
        if let Some(code) = &self.code {
            write!(f, " [{}]", printable(code))?;
        }
        for particular in &self.particulars {
            write!(f, "\n  - {}", printable(particular))?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  what to do: {}", printable(remedy))?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, "\n  request id: {}", printable(request_id))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::Errors> for Failure {
    fn from(errors: crate::config::Errors) -> Self {
        let title = errors.title();
        let mut failure = Failure::usage(title.trim_end_matches(':'));
        failure.particulars = errors.list().iter().map(ToString::to_string).collect();
        failure
            .remedy("'hellojohn config check' tells whether all is well; docs: configs/config.example.yaml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_documentation() {
        let all =
            [Exit::Ok, Exit::Failed, Exit::Usage, Exit::NotAuthorised, Exit::Conflict, Exit::Unavailable];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_failure_tells_what_why_and_what_to_do() {
        let mut failure = Failure::failed("the server refused\u{1b}[2J")
            .because("name: must not be empty")
            .remedy("correct the file")
            .while_doing("cannot put the tenant acme");
        failure.code = Some("validation_failed".into());
        failure.request_id = Some("r1".into());
        insta::assert_snapshot!(failure.to_string(), @r"
        error: cannot put the tenant acme: the server refused\u{1b}[2J [validation_failed]
          - name: must not be empty
          what to do: correct the file
          request id: r1
        ");
        let json = failure.to_json();
        assert_eq!(json["error"]["code"], "validation_failed");
        assert_eq!(json["error"]["exit_code"], 1);
        assert_eq!(json["error"]["particulars"][0], "name: must not be empty");
    }
}
