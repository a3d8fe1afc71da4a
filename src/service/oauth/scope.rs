//! The `scope` and `resource` of a request (RFC 6749 §3.3, RFC 8707 §2).

use hellojohn_control::documents::Client;
use hellojohn_control::{ScopeName, TenantEntry};

use super::Params;
use crate::service::tokens::granted;
use crate::service::{Code, Error, Result};

/// Most scopes of a request.
const MAX_SCOPES: usize = 256;

/// What a request asks for: the names of its `scope`, each once, in the order in which they come. `None` without the parameter.
///
/// # Errors
/// `invalid_scope`.
pub(super) fn parsed(text: Option<&str>) -> Result<Option<Vec<ScopeName>>> {
    let Some(text) = text else { return Ok(None) };
    let mut scopes: Vec<ScopeName> = Vec::new();
    // Exactly one space between two names (RFC 6749 §3.3), and forgiving about more.
    for name in text.split(' ').filter(|name| !name.is_empty()) {
        let scope = ScopeName::parse(name).map_err(|_| {
            Error::new(Code::InvalidScope)
                .detail("a scope has the form a-z, 0-9, ':', '_', '.', '-', 64 characters at most")
        })?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
        if scopes.len() > MAX_SCOPES {
            return Err(
                Error::new(Code::InvalidScope).detail(format!("more than {MAX_SCOPES} scopes are asked for"))
            );
        }
    }
    Ok(Some(scopes))
}

/// What the client gets of what it asks for: all of it, or the error; without a word about it, everything it is registered for
/// (S24, RFC 6749 §3.3).
///
/// # Errors
/// `invalid_scope`.
pub(super) fn allowed(
    entry: &TenantEntry,
    client: &Client,
    wanted: Option<Vec<ScopeName>>,
) -> Result<Vec<ScopeName>> {
    let Some(wanted) = wanted else { return Ok(granted(entry, client, &client.scopes)) };
    let allowed = granted(entry, client, &wanted);
    match wanted.iter().find(|scope| !allowed.contains(scope)) {
        None => Ok(wanted),
        Some(more) => {
            Err(Error::new(Code::InvalidScope).detail(format!("the client may not ask for {more}")))
        }
    }
}

/// The resources that are asked for, each once.
///
/// # Errors
/// `invalid_target`.
pub(super) fn resources(params: &Params, client: &Client) -> Result<Vec<String>> {
    let mut resources: Vec<String> = Vec::new();
    for resource in params.resources() {
        if !client.resources.iter().any(|known| known == resource) {
            return Err(Error::new(Code::InvalidTarget).detail("the client may not ask for this resource"));
        }
        if !resources.iter().any(|known| known == resource) {
            resources.push(resource.to_owned());
        }
    }
    Ok(resources)
}
