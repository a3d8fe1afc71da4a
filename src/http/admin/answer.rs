//! The answers of admin routes: a document with its `ETag` and `X-Applied-Index`, a list, or nothing.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::read::{set_applied, set_etag};
use crate::service::control::{Cleanup, Deleted};

/// A document or list as it stands at a log index.
#[derive(Debug, Clone)]
pub(super) struct Document<T> {
    /// 200, or 201 for a new document.
    pub(super) status: StatusCode,
    /// The log index that the body reflects.
    pub(super) index: u64,
    /// The document's revision, where the body is one document.
    pub(super) revision: Option<u64>,
    /// The bare document.
    pub(super) body: T,
}

impl<T> Document<T> {
    /// 200 without an entity tag.
    pub(super) fn list(index: u64, body: T) -> Self {
        Self { status: StatusCode::OK, index, revision: None, body }
    }

    /// 200 with an entity tag.
    pub(super) fn at(index: u64, revision: u64, body: T) -> Self {
        Self { status: StatusCode::OK, index, revision: Some(revision), body }
    }

    /// 201 instead of 200 where the document is new.
    #[must_use]
    pub(super) fn created(mut self, new: bool) -> Self {
        self.status = if new { StatusCode::CREATED } else { StatusCode::OK };
        self
    }
}

impl<T: Serialize> IntoResponse for Document<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        set_applied(response.headers_mut(), self.index);
        if let Some(revision) = self.revision {
            set_etag(response.headers_mut(), revision);
        }
        response
    }
}

#[derive(Serialize)]
struct CleanupPending {
    cleanup: &'static str,
}

impl IntoResponse for Deleted {
    /// 204, or 200 `{"cleanup":"pending"}` while the database has not been told (spec §13.12).
    fn into_response(self) -> Response {
        let mut response = match self.cleanup {
            Cleanup::Done => StatusCode::NO_CONTENT.into_response(),
            Cleanup::Pending => Json(CleanupPending { cleanup: "pending" }).into_response(),
        };
        set_applied(response.headers_mut(), self.index);
        response
    }
}
