//! L4: the HTTP edge: translates requests and errors, never decides.
//!
//! Routes are data ([`router::Surface`]); each states its plane and its audience, and the builder puts
//! authorisation, the leader gate and the time-out around it in that order. Errors of the services are
//! rendered in one place (`error`), in two dialects. May import `service` and below; must never hold a
//! decision of its own, and no handler is served except through a `Surface`.

pub mod admin;
pub mod auth;
pub mod bearer;
pub mod cookies;
pub mod edge;
pub mod error;
pub mod extract;
pub mod forward;
pub mod health;
pub mod json;
mod json_objects;
pub mod me;
pub mod mfa;
pub mod middleware;
pub mod oauth2;
pub mod openapi;
mod own_page;
pub mod pages;
pub mod plane;
pub mod read;
pub mod request_id;
pub mod router;
pub mod session;
mod sessions;
pub mod state;
pub mod well_known;

#[cfg(test)]
pub(crate) mod testing;

pub use edge::{Edge, EdgeParts, EdgeSettings};
pub use error::{ApiError, ApiResult};
pub use plane::{Auth, Plane, RouteSpec, Verb};
pub use router::Surface;
pub use state::AppState;
