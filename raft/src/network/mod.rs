//! Peer RPC: length-prefixed frames over TCP, with mutual TLS bound to node names.
//!
//! Owns how two nodes of one cluster find, authenticate and talk to each other (spec §3.2, S110):
//!
//! ```text
//! raft_network   openraft's traits over a PeerClient      (the one module that names openraft)
//! twin           calls that may be made twice, over two connections; patience: when
//! client         one peer: dials when needed, deadlines   server   accepts, admits, answers in order
//! connection     many calls on one stream                 session  one accepted stream
//! dial           address, TCP, TLS, hello, back-off
//! hello          who is speaking, to whom, in which cluster
//! tls            the node's certificate, swappable
//! frame          bytes on the stream
//! ```
//!
//! May import tokio, rustls, webpki, metrics. Must never know what a request means: payloads are bytes
//! here, and who is a member is asked of the [`PeerHandler`]. Nothing here may wait without a bound, and
//! every task is joined by [`PeerServer::shutdown`] or [`Dialer::shutdown`].

mod address;
mod backoff;
mod client;
mod connection;
mod contacts;
mod dial;
mod frame;
mod hello;
mod metrics;
mod patience;
pub mod raft_network;
mod reverted;
mod rpc;
mod server;
mod session;
mod stream;
mod tls;
mod twin;

pub use address::AddressBook;
pub use backoff::BackoffPolicy;
pub use client::{CallError, PeerClient};
pub use contacts::Contacts;
pub use dial::{ClientLimits, Dialer};
pub use frame::{FrameError, HELLO_LIMIT, MAX_FRAME};
pub use hello::{Hello, LocalNode, PROTOCOL_MIN, PROTOCOL_VERSION, Refusal, Seat};
pub use reverted::Reverted;
pub use rpc::{PeerHandler, RpcFailure, RpcKind, decode_json, encode_json};
pub use server::{BindError, PeerServer, ServerLimits};
pub use stream::Security;
pub use tls::{PeerTls, TlsError, TlsMaterial};

#[cfg(test)]
mod tests;
