//! `/openapi.json` is complete and true (EP180): it describes the routes that there are (`structure`) and what every answer of
//! the other tests looks like (`checked`). What it says is taken and refused is sent by `account::generated`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

pub(crate) mod checked;
pub(crate) mod description;
pub(crate) mod instances;
pub(crate) mod requests;
mod served;
mod structure;

/// Pages for people, at the top and, the same ones, below a tenant.
const PAGES: [&str; 9] =
    ["login", "register", "mfa", "consent", "account", "forgot", "verify-email", "reset", "error"];

/// Whether people are shown a page there, as at `/reset` or `/t/{slug}/reset`, or clients speak OAuth, whose words are those of the
/// RFCs and of discovery: the document is about the API of hellojohn's own.
fn is_page(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let is_page = match segments.as_slice() {
        [page] | ["t", _, page] => PAGES.contains(page),
        _ => false,
    };
    is_page || hellojohn::http::error::oauth::speaks_at(path)
}
