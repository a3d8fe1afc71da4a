//! Discovery and key sets (EP035-EP039; OIDC Discovery §4, RFC 8414 §3, RFC 7517 §5). Public, never stored by
//! caches, answered from memory on every node, whatever the state of database and quorum.

use axum::extract::FromRef;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hellojohn_control::{Slug, TenantEntry, View};

use crate::http::extract::{PathParam, Segment};
use crate::http::read::{Fresh, set_applied};
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::control::ControlService;
use crate::service::{Code, Error};

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    ControlService: FromRef<S>,
{
    use Auth::Public;
    use Plane::Control;
    use Verb::Get;
    Surface::new()
        .route(Get, "/.well-known/openid-configuration", Control, Public, global_discovery)
        .route(Get, "/.well-known/oauth-authorization-server", Control, Public, global_discovery)
        .route(Get, "/.well-known/oauth-authorization-server/t/{slug}", Control, Public, tenant_discovery)
        .route(Get, "/t/{slug}/.well-known/openid-configuration", Control, Public, tenant_discovery)
        .route(Get, "/.well-known/jwks.json", Control, Public, global_jwks)
        .route(Get, "/.well-known/jwks/{file}", Control, Public, tenant_jwks)
}

/// A rendered document of the view, sent without copying it.
struct Rendered {
    index: u64,
    body: Bytes,
}

impl IntoResponse for Rendered {
    fn into_response(self) -> Response {
        let mut response = self.body.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        set_applied(headers, self.index);
        response
    }
}

/// The name of a tenant's key set: `{slug}.json`.
struct KeySetFile(Slug);

impl PathParam for KeySetFile {
    const NAME: &'static str = "file";
    const CODE: Code = Code::InvalidSlug;
    fn parse(text: &str) -> Result<Self, String> {
        let slug = text.strip_suffix(".json").ok_or("a key set has the name {slug}.json")?;
        Slug::parse(slug).map(Self).map_err(|error| error.to_string())
    }
}

async fn global_discovery(Fresh(view): Fresh) -> ApiResult<Rendered> {
    Ok(Rendered { index: view.applied_index(), body: view.global_discovery() })
}

async fn tenant_discovery(Fresh(view): Fresh, Segment(slug): Segment<Slug>) -> ApiResult<Rendered> {
    let body = view.discovery_of(tenant(&view, &slug)?).ok_or_else(|| {
        Error::new(Code::IssuerModeGlobal)
            .detail("the tenant uses the global issuer; see /.well-known/openid-configuration")
    })?;
    Ok(Rendered { index: view.applied_index(), body })
}

async fn global_jwks(Fresh(view): Fresh) -> ApiResult<Rendered> {
    Ok(Rendered { index: view.applied_index(), body: view.global_keys().jwks().clone() })
}

async fn tenant_jwks(
    Fresh(view): Fresh,
    Segment(KeySetFile(slug)): Segment<KeySetFile>,
) -> ApiResult<Rendered> {
    let body = view.jwks_of(tenant(&view, &slug)?);
    Ok(Rendered { index: view.applied_index(), body })
}

fn tenant<'a>(view: &'a View, slug: &Slug) -> Result<&'a TenantEntry, Error> {
    view.tenant(slug).map(AsRef::as_ref).ok_or_else(|| Error::new(Code::TenantNotFound))
}
