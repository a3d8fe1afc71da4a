//! A server that takes every connection and never says a word: a database whose host hangs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// The server; lives as long as the runtime of its test.
#[derive(Debug)]
pub(crate) struct Silence {
    pub(crate) port: u16,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Silence {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::new(Counts::default());
        let silence = Self { port, counts: Arc::clone(&counts) };
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let counts = Arc::clone(&counts);
                let open = counts.now.fetch_add(1, Ordering::Relaxed) + 1;
                counts.most.fetch_max(open, Ordering::Relaxed);
                tokio::spawn(async move {
                    // Until the other side gives up; what it says is not heard.
                    let mut heard = [0; 1024];
                    while matches!(connection.read(&mut heard).await, Ok(length) if length > 0) {}
                    counts.now.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        silence
    }

    /// Most connections that were open at the same time.
    pub(crate) fn most(&self) -> usize {
        self.counts.most.load(Ordering::Relaxed)
    }
}
