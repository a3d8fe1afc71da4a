//! Sends batches. The same batch may be sent again, so whatever may pass is waited for; a token that ends in the
//! middle is renewed where there is a login to do it with.

use std::time::Duration;

use hellojohn_control::Slug;
use serde::Deserialize;
use serde_json::{Value, json};

use super::report::Reason;
use crate::cli::api::{Answer, Api, ApiError};
use crate::cli::connection::{CODE, Connection};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::domain::rng;

const PATH: &str = "/v1/admin/users/import";
/// How often a batch is sent again.
const RETRIES: u32 = 10;
/// First pause where the server names none; the next ones double.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause, whatever the server says: a window of a rate limit.
const LONGEST: Duration = Duration::from_secs(60);

/// What the server says of a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct LineResult {
    pub(super) index: usize,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) errors: Vec<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Created,
    Unchanged,
    Refused,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum NotSent {
    /// The server takes no body of this size.
    TooLarge,
    /// Nothing more can be done.
    Failed(Failure),
}

/// The way to the server.
pub(super) struct Sender<'a> {
    api: Api,
    connection: &'a Connection,
    tenant: &'a Slug,
    dry_run: bool,
}

impl<'a> Sender<'a> {
    /// # Errors
    /// When there are no credentials, or they are refused.
    pub(super) async fn new(
        connection: &'a Connection,
        tenant: &'a Slug,
        dry_run: bool,
        session: &Session<'_>,
    ) -> Result<Self, Failure> {
        Ok(Self { api: connection.authorised(session).await?, connection, tenant, dry_run })
    }

    /// Sends users; gives what became of each, in their order.
    ///
    /// # Errors
    /// See [`NotSent`].
    pub(super) async fn send(
        &mut self,
        users: &[Value],
        session: &Session<'_>,
    ) -> Result<Vec<LineResult>, NotSent> {
        let mut body = json!({ "tenant_id": self.tenant, "users": users });
        if self.dry_run {
            body["dry_run"] = json!(true);
        }
        let (mut tries, mut renewed) = (0, false);
        let answer = loop {
            let error = match self.api.post(PATH, &body).await {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            if status_of(&error) == Some(413) {
                return Err(NotSent::TooLarge);
            }
            if status_of(&error) == Some(401) && !renewed && self.may_log_in(session)? {
                renewed = true;
                self.api = self.connection.authorised(session).await.map_err(NotSent::Failed)?;
                continue;
            }
            let Some(wait) = pause_after(&error, tries).filter(|_| tries < RETRIES) else {
                return Err(NotSent::Failed(error.into()));
            };
            tries += 1;
            // From half of the wanted pause to all of it.
            let half = wait / 2;
            let jitter = half * u32::from(rng::bytes::<1>(session.rng.as_ref())[0]) / 255;
            tokio::time::sleep(half + jitter).await;
        };
        results(answer, users.len())
    }

    fn may_log_in(&self, session: &Session<'_>) -> Result<bool, NotSent> {
        let variables = session.variables().map_err(NotSent::Failed)?;
        // The code of a second factor is good once, and was used; to send it again would count as a wrong guess.
        Ok(self.connection.token(&variables).is_none() && variables.get(CODE).is_none())
    }
}

fn results(answer: Answer, count: usize) -> Result<Vec<LineResult>, NotSent> {
    let Answer { mut body, .. } = answer;
    let results = body.get_mut("results").map(Value::take).unwrap_or_default();
    let results: Vec<LineResult> = serde_json::from_value(results).unwrap_or_default();
    let in_order = results.iter().enumerate().all(|(index, result)| result.index == index);
    if in_order && results.len() == count {
        return Ok(results);
    }
    let what = "it does not tell what became of each user".to_owned();
    Err(NotSent::Failed(ApiError::Strange(what).into()))
}

fn status_of(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::Refused(refusal) => Some(refusal.status),
        ApiError::Unreachable { .. }
        | ApiError::Broken { .. }
        | ApiError::LeaderWithoutAddress { .. }
        | ApiError::LeaderNotAllowed { .. }
        | ApiError::LeaderGone { .. }
        | ApiError::TooManyHops
        | ApiError::Strange(_)
        | ApiError::Bearer
        | ApiError::SecondFactor
        | ApiError::Client(_) => None,
    }
}

/// How long to wait before the batch is sent again; `None` when that would not help.
fn pause_after(error: &ApiError, tries: u32) -> Option<Duration> {
    let own = PAUSE.saturating_mul(1 << tries.min(7));
    let wanted = match error {
        ApiError::Refused(refusal) if matches!(refusal.status, 429 | 502 | 503 | 504) => {
            refusal.retry_after.unwrap_or(Duration::ZERO).max(own)
        }
        ApiError::Unreachable { .. } | ApiError::Broken { .. } => own,
        ApiError::Refused(_)
        | ApiError::LeaderWithoutAddress { .. }
        | ApiError::LeaderNotAllowed { .. }
        | ApiError::LeaderGone { .. }
        | ApiError::TooManyHops
        | ApiError::Strange(_)
        | ApiError::Bearer
        | ApiError::SecondFactor
        | ApiError::Client(_) => return None,
    };
    Some(wanted.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::api::Refusal;

    fn refused(status: u16, retry_after: Option<u64>) -> ApiError {
        let retry_after = retry_after.map(Duration::from_secs);
        ApiError::Refused(Box::new(Refusal { status, retry_after, ..Refusal::default() }))
    }

    #[test]
    fn what_may_pass_is_waited_for_within_a_bound() {
        let broken = ApiError::Broken { url: String::new(), reason: String::new() };
        for (error, tries, wait) in [
            (refused(503, None), 0, Some(500)),
            (refused(503, Some(2)), 0, Some(2_000)),
            (refused(503, Some(1)), 3, Some(4_000)),
            (refused(429, Some(3_600)), 0, Some(60_000)),
            (broken, 30, Some(60_000)),
            (refused(400, None), 0, None),
            (refused(500, Some(1)), 0, None),
            (ApiError::Bearer, 0, None),
        ] {
            assert_eq!(pause_after(&error, tries), wait.map(Duration::from_millis), "{error:?}");
        }
    }

    #[test]
    fn an_answer_that_does_not_fit_the_batch_is_strange() {
        let answer = |body: Value| Answer { status: 200, body, index: None };
        let good = json!({"results": [{"index": 0, "status": "created", "id": "x"},
            {"index": 1, "status": "refused", "errors": [{"field": "", "code": "differs", "message": "m"}]}]});
        assert_eq!(results(answer(good.clone()), 2).unwrap()[1].errors[0].code, "differs");
        let bad = json!({"results": [{"index": 1, "status": "created"}]});
        for (body, count) in [(good, 3), (bad, 1), (json!({}), 1), (json!([]), 1)] {
            let NotSent::Failed(failure) = results(answer(body), count).unwrap_err() else { panic!() };
            assert!(failure.what.contains("does not tell"), "{failure}");
        }
    }
}
