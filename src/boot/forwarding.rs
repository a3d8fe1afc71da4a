//! The two ends of what a follower passes on to the leader, on the peer connections.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::runtime::Handle;

use crate::cluster::{ControlPlane, ForwardError, Forwarded, RpcFailure};
use crate::http::forward::{Forwarder, Inbound, NotForwarded};

/// The way to the leader.
#[derive(Debug)]
pub(super) struct Outbound(pub(super) ControlPlane);

impl Forwarder for Outbound {
    fn forward<'a>(
        &'a self,
        leader: &'a str,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'a, Result<Bytes, NotForwarded>> {
        async move {
            self.0.forward(leader, request, within).await.map_err(|error| match error {
                ForwardError::NotSent(why) => NotForwarded::NotSent(why),
                ForwardError::Unknown(why) => NotForwarded::Unknown(why),
            })
        }
        .boxed()
    }
}

/// Answers what other nodes pass on, on the product's threads: those of the control plane are for heartbeats.
pub(super) struct Answering {
    pub(super) inbound: Inbound,
    pub(super) product: Handle,
}

impl Forwarded for Answering {
    fn answer(&self, peer: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, RpcFailure>> {
        let work = match self.inbound.answer(request) {
            Ok(work) => work,
            Err(detail) => {
                tracing::warn!(peer, detail, "a request that was passed on cannot be read");
                return std::future::ready(Err(RpcFailure::BadRequest { detail })).boxed();
            }
        };
        // Whoever waits for the answer may go; the write then goes on or not, as with any caller.
        let task = AbortOnDrop(self.product.spawn(work));
        task.boxed()
    }
}

/// Ends with whoever waits for it, so that nothing is left over when the process stops.
struct AbortOnDrop(tokio::task::JoinHandle<Bytes>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Future for AbortOnDrop {
    type Output = Result<Bytes, RpcFailure>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.poll_unpin(context).map_err(|error| RpcFailure::Internal { detail: error.to_string() })
    }
}

/// The way to the leader, if this node passes writes on.
pub(super) fn outbound(forwards: bool, plane: &ControlPlane) -> Option<Arc<dyn Forwarder>> {
    forwards.then(|| Arc::new(Outbound(plane.clone())) as Arc<dyn Forwarder>)
}
