//! `audit`: security events in the database.

use std::time::Duration;

use super::setting::{Raw, section};
use super::value::{Invalid, duration, quoted};

const HOUR: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

section! {
    /// Security events.
    pub struct Audit in "audit" {
        /// How long security events are kept in the database; 0 keeps them for ever. Log lines are not touched.
        retention: Duration = Literal("2160h"), env ["AUDIT_RETENTION"], Public, retention;
    }
}

impl Audit {
    /// How long events are kept; `None`: for ever.
    pub fn keep_events(&self) -> Option<Duration> {
        Some(self.retention).filter(|retention| !retention.is_zero())
    }
}

fn retention(raw: &Raw) -> Result<Duration, Invalid> {
    let given = duration::between(Duration::ZERO, LONGEST)(raw)?;
    if given.is_zero() || given >= HOUR {
        return Ok(given);
    }
    Err(Invalid::new(
        format!("{} is out of range", quoted(raw.text()?)),
        "write a duration of 1h or longer, or 0 to keep events for ever",
    ))
}
