//! Whom an `id_token_hint` names (OpenID Connect Core §3.1.2.1).

use crate::crypto::jwt::{IdHint, keys_of, read_hint};
use crate::domain::user::UserId;
use crate::service::Result;
use crate::service::account::Place;

use super::request::bad;

/// The person whom an ID token of this tenant's, made for this client, is about.
///
/// # Errors
/// `invalid_parameter` for everything else: another client's token tells this one nothing.
pub(super) fn hinted(place: &Place, token: &str) -> Result<UserId> {
    let hint = read(place, token).filter(|hint| hint.aud == place.client.client_id.as_str());
    let user = hint.and_then(|hint| hint.sub.parse().ok());
    user.ok_or_else(|| bad("id_token_hint is no ID token that this client was given here"))
}

/// What an ID token of the tenant says. One from before the tenant's switch to an issuer of its own carries the global issuer, and
/// verifies with the global keys for as long as those are published.
fn read(place: &Place, token: &str) -> Option<IdHint> {
    let (view, entry) = (&place.view, &place.entry);
    let own = view.keys(&view.signing_set(entry)).map(|ring| (view.issuer_of(entry), ring));
    let global = (view.global_issuer().to_owned(), view.global_keys());
    own.into_iter().chain([global]).find_map(|(issuer, ring)| {
        let find = keys_of(|kid| ring.get(kid.as_str()).map(AsRef::as_ref));
        read_hint(token, &find, &issuer, entry.tenant.slug.as_str()).ok()
    })
}
