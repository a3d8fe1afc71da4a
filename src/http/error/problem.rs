//! RFC 9457 problem details: the dialect of everything that is not OAuth (spec §5).

use serde::Serialize;

use crate::service::{Error, Payload};

/// The media type of RFC 9457 §3.
pub const MEDIA_TYPE: &str = "application/problem+json";

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    appcode: u16,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Field<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<&'a str>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    code: &'a str,
    message: &'a str,
}

/// The body for `error`, answered with `status` under `request_id`. Never carries the private context.
pub fn body(error: &Error, status: u16, request_id: &str) -> Vec<u8> {
    let mut problem = Problem {
        kind: format!("urn:hellojohn:problem:{}", error.code().as_str()),
        title: error.code().title(),
        status,
        detail: error.public_text(),
        code: error.code().as_str(),
        appcode: error.code().appcode(),
        request_id,
        errors: None,
        current_revision: None,
        leader: None,
    };
    match error.payload() {
        Payload::Fields(fields) => {
            problem.errors = Some(
                fields
                    .iter()
                    .map(|f| Field { field: &f.field, code: &f.code, message: &f.message })
                    .collect(),
            );
        }
        Payload::CurrentRevision(current) => problem.current_revision = *current,
        Payload::Leader(name) => problem.leader = Some(name),
        Payload::None
        | Payload::RetryAfter(_)
        | Payload::RateLimited(_)
        | Payload::NoCredentials
        | Payload::RequiredScope(_) => {}
    }
    // Strings and numbers only: serialisation cannot fail, and an empty body is the safe answer if it did.
    serde_json::to_vec(&problem).unwrap_or_default()
}
