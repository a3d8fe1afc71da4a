//! `/openapi.json` is complete and true (EP180): it describes the routes that there are (`structure`) and what every answer of
//! the other tests looks like (`checked`). What it says is taken and refused is sent by `account::generated`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

pub(crate) mod checked;
pub(crate) mod description;
pub(crate) mod instances;
pub(crate) mod requests;
mod served;
mod structure;

/// Whether people are shown a page there: the document is for programs.
fn is_page(path: &str) -> bool {
    ["/verify-email", "/reset"].contains(
        &path.strip_prefix("/t/").map_or(path, |below| below.find('/').map_or("", |at| &below[at..])),
    )
}
