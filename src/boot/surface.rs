//! Every route of the public listener, in one place, so that tests and OpenAPI can walk them.

use crate::http::state::AppState;
use crate::http::{Surface, admin, auth, health, me, mfa, oauth2, openapi, pages, session, well_known};

/// All routes.
pub fn surface() -> Surface<AppState> {
    Surface::new()
        .merge(auth::surface())
        .merge(session::surface())
        .merge(me::surface())
        .merge(mfa::surface())
        .merge(oauth2::surface())
        .merge(pages::surface())
        .merge(admin::surface())
        .merge(well_known::surface())
        .merge(health::surface())
        .merge(openapi::surface())
}
