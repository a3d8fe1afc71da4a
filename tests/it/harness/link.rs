//! A way to a listener that can be made slow: what comes through is counted.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that are handed on at a time.
const PIECE: usize = 16 * 1024;

/// The way.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Milliseconds that each piece of a connection takes.
    pause: AtomicU64,
    /// Most bytes that one connection has carried to the listener.
    most: AtomicU64,
}

impl Link {
    /// A way to the listener on `target`, as fast as it goes.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { pause: AtomicU64::new(0), most: AtomicU64::new(0) });
        let link = Self { port, shared: Arc::clone(&shared) };
        tokio::spawn(async move {
            while let Ok((incoming, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A listener that is down refuses by a connection that ends.
                    if let Ok(outgoing) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await {
                        carry(incoming, outgoing, &shared).await;
                    }
                });
            }
        });
        link
    }

    /// Lets each connection carry 16 KiB in that time; all at once for zero.
    pub(crate) fn slow(&self, piece: Duration) {
        self.shared.pause.store(u64::try_from(piece.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Counts anew.
    pub(crate) fn reset(&self) {
        self.shared.most.store(0, Ordering::Relaxed);
    }

    /// Most bytes that one connection has carried to the listener since [`Self::reset`] was called before it began.
    pub(crate) fn most(&self) -> u64 {
        self.shared.most.load(Ordering::Relaxed)
    }
}

async fn carry(incoming: TcpStream, outgoing: TcpStream, shared: &Shared) {
    let (from_peer, to_peer) = incoming.into_split();
    let (from_node, to_node) = outgoing.into_split();
    // Either end ends both.
    tokio::select! {
        _ended = pump(from_peer, to_node, Some(shared)) => {}
        _ended = pump(from_node, to_peer, None) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Option<&Shared>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut carried = 0_u64;
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        if let Some(shared) = shared {
            let pause = shared.pause.load(Ordering::Relaxed);
            // By the bytes: a heartbeat is not held up.
            let pause = pause * u64::try_from(length).unwrap() / u64::try_from(PIECE).unwrap();
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            carried += u64::try_from(length).unwrap();
            shared.most.fetch_max(carried, Ordering::Relaxed);
        }
        to.write_all(&piece[..length]).await?;
    }
}
