//! Why a call has no answer of the wanted kind, and how that is told.

use std::time::Duration;

use serde::Deserialize;

use crate::cli::failure::{Exit, Failure};

/// The server's refusal: a problem document (RFC 9457), or the form of RFC 6749 §5.2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// Stable name of the error; empty when the answer is not one of ours.
    pub code: String,
    /// What the server says.
    pub detail: String,
    /// Fields that are not acceptable, `field: message`.
    pub fields: Vec<String>,
    /// Request id for the server's log.
    pub request_id: Option<String>,
    /// Revision of the document as it stands, with `precondition_failed`.
    pub current_revision: Option<u64>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `X-Leader`: the node that leads.
    pub leader: Option<String>,
    /// `X-Leader-URL`: where it is reached.
    pub leader_url: Option<String>,
    /// The address that answered.
    pub at: String,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    request_id: Option<String>,
    #[serde(default)]
    errors: Vec<Field>,
    current_revision: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct Field {
    field: String,
    message: String,
}

impl Refusal {
    /// What the body says; a body of another kind leaves everything but the status empty.
    pub(super) fn parse(status: u16, body: &[u8]) -> Self {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            return Self { status, ..Self::default() };
        };
        Self {
            status,
            code: problem.code.or(problem.error).unwrap_or_default(),
            detail: problem.detail.or(problem.error_description).or(problem.title).unwrap_or_default(),
            fields: problem.errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect(),
            request_id: problem.request_id,
            current_revision: problem.current_revision,
            ..Self::default()
        }
    }

    /// The node does not lead, and nothing was written.
    pub(super) fn is_follower(&self) -> bool {
        self.status == 409 && self.code == "follower_conflict"
    }

    /// There is nothing of that name (but a server that answers as ours do).
    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404 && self.code.ends_with("_not_found") && self.code != "route_not_found"
    }

    /// Nothing was done, and the same call may succeed soon.
    fn is_passing(&self) -> bool {
        self.status == 503
            && matches!(self.code.as_str(), "no_leader" | "cluster_not_formed" | "index_not_reached" | "busy")
    }
}

/// Why a call has no answer of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The server said no.
    Refused(Box<Refusal>),
    /// No connection; nothing was sent.
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The connection broke or the time was up; the server may have done what was asked.
    Broken {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// The leader is known, but not where it is reached.
    LeaderWithoutAddress {
        /// The node that was asked.
        asked: String,
        /// The node that leads.
        leader: String,
    },
    /// The leader's address is not one that credentials may go to.
    LeaderNotAllowed {
        /// The address.
        url: String,
        /// Its host, as `--allow-host` takes it; empty where that would not help.
        host: String,
    },
    /// The leader that we were sent to takes no connection.
    LeaderGone {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// Node after node named another leader.
    TooManyHops,
    /// The answer is not one that this API gives.
    Strange(String),
    /// The bearer token has characters that no token has.
    Bearer,
    /// The account has a second factor, and no code was given.
    SecondFactor,
    /// The client cannot be set up.
    Client(String),
}

/// Pause where the server names none.
const PAUSE: Duration = Duration::from_millis(500);

impl ApiError {
    /// How long to wait before the same call may succeed; `None` when it will not, or might be done twice: `once` says that
    /// it has one effect however often it is made.
    pub(super) fn try_again_after(&self, once: bool) -> Option<Duration> {
        match self {
            ApiError::Refused(refusal) if once && refusal.code == "outcome_unknown" => {
                Some(refusal.retry_after.unwrap_or(PAUSE))
            }
            ApiError::Broken { .. } if once => Some(PAUSE),
            ApiError::Refused(refusal) if refusal.is_passing() => Some(refusal.retry_after.unwrap_or(PAUSE)),
            ApiError::LeaderGone { .. } | ApiError::TooManyHops => Some(PAUSE),
            ApiError::Refused(_)
            | ApiError::Unreachable { .. }
            | ApiError::Broken { .. }
            | ApiError::LeaderWithoutAddress { .. }
            | ApiError::LeaderNotAllowed { .. }
            | ApiError::Strange(_)
            | ApiError::Bearer
            | ApiError::SecondFactor
            | ApiError::Client(_) => None,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Refused(refusal) => refused(*refusal),
            ApiError::Unreachable { url, reason } => {
                Failure::new(Exit::Unavailable, format!("no connection to {url}"))
                    .because(reason)
                    .remedy("start the node, or name another one with --url or HELLOJOHN_ADMIN_URL")
            }
            ApiError::Broken { url, reason } => {
                Failure::new(Exit::Unavailable, format!("{url} did not answer"))
                    .because(reason)
                    .remedy("a write may have taken effect: look with 'get' or 'list', then repeat it")
            }
            ApiError::LeaderWithoutAddress { asked, leader } => Failure::new(
                Exit::Conflict,
                format!("{asked} does not lead and does not say where the leader {leader} is reached"),
            )
            .remedy(format!("repeat with --url of {leader}, or set LEADER_REDIRECTS on the nodes")),
            ApiError::LeaderNotAllowed { url, host } => {
                let failure = Failure::new(
                    Exit::Conflict,
                    format!("the leader is at {url}, where credentials are not sent"),
                );
                match host.as_str() {
                    "" => {
                        failure.remedy("that address is http while --url is https: use https for every node")
                    }
                    host => failure.remedy(format!(
                        "repeat with --allow-host {host}, or list it in LEADER_REDIRECT_ALLOWED_HOSTS"
                    )),
                }
            }
            ApiError::LeaderGone { url, reason } => {
                Failure::new(Exit::Unavailable, format!("no connection to the leader at {url}"))
                    .because(reason)
                    .remedy("a new leader is elected shortly; 'hellojohn cluster status --all' shows it")
            }
            ApiError::TooManyHops => Failure::new(
                Exit::Unavailable,
                format!("after {} hops no node said that it leads", super::MAX_HOPS),
            )
            .remedy("look at 'hellojohn cluster status --all' and at LEADER_REDIRECTS of the nodes"),
            ApiError::Strange(what) => Failure::failed(format!("the answer is not one of hellojohn: {what}"))
                .remedy("is --url the address of a node or of its load balancer?"),
            ApiError::Bearer => Failure::new(Exit::NotAuthorised, "the bearer token is not a token")
                .remedy("give it without the word Bearer, without quotes and line breaks"),
            ApiError::SecondFactor => {
                Failure::new(Exit::NotAuthorised, "the account asks for a second factor").remedy(
                    "put a code of its app, or a recovery code, in front of the one command: HELLOJOHN_MFA_CODE=… hellojohn …; each \
                     is good once, and a used one counts as a wrong one. For several commands take HELLOJOHN_BEARER",
                )
            }
            ApiError::Client(reason) => Failure::failed("the HTTP client cannot be set up").because(reason),
        }
    }
}

fn refused(refusal: Refusal) -> Failure {
    let exit = match refusal.status {
        401 | 403 => Exit::NotAuthorised,
        409 | 412 => Exit::Conflict,
        429 | 502 | 503 | 504 => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let what = if refusal.code.is_empty() {
        format!("{} answered {} in a form that is not hellojohn's", refusal.at, refusal.status)
    } else {
        refusal.detail
    };
    let mut failure = Failure::new(exit, what);
    failure.particulars = refusal.fields;
    if let Some(revision) = refusal.current_revision {
        failure.particulars.push(format!("the document is at revision {revision}"));
    }
    failure.remedy = remedy(&refusal.code).map(str::to_owned);
    failure.code = Some(refusal.code).filter(|code| !code.is_empty());
    failure.request_id = refusal.request_id;
    failure
}

/// What to do about the errors that have one remedy.
fn remedy(code: &str) -> Option<&'static str> {
    match code {
        "" => Some("is --url the address of a node or of its load balancer?"),
        "invalid_token" => Some(
            "log in again (HELLOJOHN_EMAIL and HELLOJOHN_PASSWORD); or, for an administrator's command, on the host of a \
             node: HELLOJOHN_BEARER=$(hellojohn admin mint-token), which is nobody's and good for nothing else",
        ),
        "invalid_credentials" => Some("check HELLOJOHN_EMAIL, HELLOJOHN_PASSWORD and HELLOJOHN_TENANT_ID"),
        "invalid_mfa_code" => Some("the code is wrong or was used before: wait for the next one of the app"),
        "forbidden" => {
            Some("use an account that administers this installation; see ADMIN_SUBS and ADMIN_TENANTS")
        }
        "no_leader" => Some("wait for a leader: 'hellojohn cluster status --all' shows who is missing"),
        "cluster_not_formed" => {
            Some("start the nodes that are missing: 'hellojohn cluster status --all' names them")
        }
        "outcome_unknown" => Some(
            "the write may have taken effect: look with 'get' or 'list'; repeating a put or delete is safe",
        ),
        "storage_unavailable" => Some("start PostgreSQL, or check STORAGE_DSN on the nodes"),
        _ => None,
    }
}
