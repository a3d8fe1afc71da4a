//! EP131: a snapshot of this node's own state as a file. User plane: every node gives its own, leader or not.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::http::ApiResult;
use crate::http::read::set_applied;
use crate::service::audit::Administrator;
use crate::service::control::{ControlService, Saved};
use crate::service::user_store::UserStores;

/// Bytes that are handed on at a time.
const CHUNK: usize = 64 * 1024;
/// Chunks that wait for the client.
const WAITING: usize = 4;
/// How long a client may take to read one chunk. Then the answer is cut, which its length and its checksum tell.
const STALL: Duration = Duration::from_secs(30);

pub(super) async fn save(
    State(control): State<ControlService>,
    State(stores): State<UserStores>,
    by: Administrator,
) -> ApiResult<Response> {
    let saved = control.save_archive(&by, &stores).await?;
    let (index, length) = (saved.index, saved.bytes.len());
    let mut response = Body::from_stream(sent(saved)).into_response();
    let headers = response.headers_mut();
    set_applied(headers, index);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// The bytes as a stream. The archive and the turn are let go when all is handed on, or when the client has gone or
/// stands still: a client that does not read cannot keep others from their backup.
fn sent(saved: Saved) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    let (chunks, waiting) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        // A copy each, because a part of the whole would keep the whole in memory.
        for chunk in saved.bytes.chunks(CHUNK) {
            match timeout(STALL, chunks.send(Ok(Bytes::copy_from_slice(chunk)))).await {
                Ok(Ok(())) => {}
                Ok(Err(_gone)) => break,
                Err(_elapsed) => {
                    tracing::warn!(index = saved.index, "the client does not read its snapshot; it is cut");
                    break;
                }
            }
        }
        drop(saved.turn);
    });
    stream::unfold(waiting, |mut waiting| async move { waiting.recv().await.map(|chunk| (chunk, waiting)) })
}
