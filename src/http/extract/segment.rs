//! Typed identifiers in the path: percent-decoded, then parsed by their grammar, before anything sees them.

use axum::extract::FromRequestParts;
use axum::extract::RawPathParams;
use axum::http::request::Parts;
use hellojohn_control::{ClientId, Kid, Slug};
use uuid::Uuid;

use crate::domain::refresh_token::FamilyId;
use crate::domain::role::Role;
use crate::domain::user::UserId;
use crate::http::error::{ApiError, ApiResult};
use crate::service::{Code, Error};

/// An identifier that may stand in a path.
pub trait PathParam: Sized {
    /// The name between braces in the route pattern.
    const NAME: &'static str;
    /// The code of a malformed one (status 400).
    const CODE: Code;
    /// Parses the percent-decoded text; the error text is public.
    ///
    /// # Errors
    /// What the identifier must look like.
    fn parse(text: &str) -> Result<Self, String>;
}

impl PathParam for Slug {
    const NAME: &'static str = "slug";
    const CODE: Code = Code::InvalidSlug;
    fn parse(text: &str) -> Result<Self, String> {
        Slug::parse(text).map_err(|error| error.to_string())
    }
}

impl PathParam for ClientId {
    const NAME: &'static str = "client_id";
    const CODE: Code = Code::InvalidClientId;
    fn parse(text: &str) -> Result<Self, String> {
        ClientId::parse(text).map_err(|error| error.to_string())
    }
}

impl PathParam for Kid {
    const NAME: &'static str = "kid";
    const CODE: Code = Code::InvalidParameter;
    fn parse(text: &str) -> Result<Self, String> {
        Kid::parse(text).map_err(|error| error.to_string())
    }
}

impl PathParam for FamilyId {
    const NAME: &'static str = "session_id";
    const CODE: Code = Code::InvalidParameter;
    fn parse(text: &str) -> Result<Self, String> {
        Uuid::try_parse(text).map(FamilyId).map_err(|_| "the session's id must be a UUID".to_owned())
    }
}

impl PathParam for UserId {
    const NAME: &'static str = "user_id";
    const CODE: Code = Code::InvalidParameter;
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "the user's id must be a UUID".to_owned())
    }
}

impl PathParam for Role {
    const NAME: &'static str = "role";
    const CODE: Code = Code::InvalidParameter;
    fn parse(text: &str) -> Result<Self, String> {
        Role::parse(text).map_err(|error| format!("the role's name {error}"))
    }
}

/// One identifier of the path: `Segment(slug): Segment<Slug>`. A handler may take several.
#[derive(Debug, Clone)]
pub struct Segment<T>(pub T);

impl<T: PathParam, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        // The only failure of the raw parameters is bytes that are not UTF-8, in this segment or another.
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|error| {
            let ours = error.body_text().contains(&format!("`{}`", T::NAME));
            let code = if ours { T::CODE } else { Code::InvalidParameter };
            Error::bad_input(code, "the path is not UTF-8").context(error)
        })?;
        let text = params.iter().find_map(|(name, value)| (name == T::NAME).then_some(value));
        let text = text.ok_or_else(|| Error::internal(format_args!("the route has no {{{}}}", T::NAME)))?;
        Ok(Self(T::parse(text).map_err(|detail| Error::bad_input(T::CODE, detail))?))
    }
}
