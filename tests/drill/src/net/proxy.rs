//! A TCP proxy for one Raft link: it delays, holds back, slows down and ends what passes.
//!
//! Held bytes wait, as TCP keeps sending what was not acknowledged. A connection that is cut looks half open to both
//! sides. Where the other end refuses, the connection ends at once.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::links::Links;
use crate::dice::Dice;

const CHUNK: usize = 16 * 1024;
/// Chunks on their way; more are not read.
const ON_THE_WAY: usize = 1024;
const CONNECT: Duration = Duration::from_secs(3);

/// One direction of one link.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) links: Links,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether this is the direction of the one who dialled.
    pub(super) dialled: bool,
}

/// Where a proxy stands.
#[derive(Debug, Clone)]
pub struct Link {
    /// The node that dials.
    pub from: usize,
    /// The node that is dialled.
    pub to: usize,
    /// Where the proxy listens.
    pub listen: String,
    /// Where it passes things on to.
    pub target: String,
}

/// A running proxy; dropping it ends it and every connection.
#[derive(Debug)]
pub struct Proxy {
    _stop: DropGuard,
    tracker: TaskTracker,
}

impl Proxy {
    /// Starts it. `carry` moves the bytes of one accepted connection.
    pub(super) async fn start<C, F>(link: &Link, mut carry: C) -> Result<Self, String>
    where
        C: FnMut(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let address: SocketAddr =
            link.listen.parse().map_err(|error| format!("{}: not an address: {error}", link.listen))?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("the proxy of a link cannot listen on {address}: {error}"))?;
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (stopped, connections) = (stop.clone(), tracker.clone());
        tracker.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopped.cancelled() => return,
                };
                let Ok((stream, _)) = accepted else { continue };
                let carried = carry(stream);
                let stopped = stopped.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = carried => {}
                        () = stopped.cancelled() => {}
                    }
                });
            }
        });
        Ok(Self { _stop: stop.drop_guard(), tracker })
    }

    /// A proxy that moves bytes without understanding them.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn of_bytes(link: &Link, links: &Links) -> Result<Self, String> {
        let (links, link_of) = (links.clone(), link.clone());
        Self::start(link, move |stream| carry_bytes(stream, link_of.clone(), links.clone())).await
    }

    /// Ends it and waits until every connection is gone.
    pub async fn stop(self) {
        let Self { _stop: stop, tracker } = self;
        drop(stop);
        tracker.close();
        // Every task ends with the token; the bound is for a fault in this file.
        let _ended = timeout(CONNECT, tracker.wait()).await;
    }
}

/// A connection to the other end; none where it refuses.
pub(super) async fn connect(link: &Link, links: &Links) -> Option<TcpStream> {
    links.open(link.from, link.to).await;
    links.open(link.to, link.from).await;
    let stream = timeout(CONNECT, TcpStream::connect(&link.target)).await.ok()?.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

async fn carry_bytes(near: TcpStream, link: Link, links: Links) {
    // Without it the proxy would add delays of its own.
    let _as_it_is = near.set_nodelay(true);
    let Some(far) = connect(&link, &links).await else { return };
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let there = Way { links: links.clone(), from: link.from, to: link.to, dialled: true };
    let back = Way { links, from: link.to, to: link.from, dialled: false };
    let mut ways = JoinSet::new();
    ways.spawn(pump(near_in, far_out, there));
    ways.spawn(pump(far_in, near_out, back));
    // Either end closes both, as a reset does.
    ways.join_next().await;
    ways.shutdown().await;
}

/// Moves bytes one way until either end closes or the link is reset.
async fn pump<R, W>(mut from: R, mut to: W, way: Way)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let reading = way.clone();
    let read = async move {
        let mut dice = Dice::new(u64::from(std::process::id()));
        let mut buffer = vec![0; CHUNK];
        let (mut passed, mut due) = (0, Instant::now());
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let state = reading.links.now();
            passed += u64::try_from(length).unwrap_or(u64::MAX);
            if reading.dialled && state.reset_after.is_some_and(|limit| passed > limit) {
                reading.links.strike();
                return;
            }
            // In order, however the delay varies.
            due = due.max(Instant::now() + delay(state.delay, &mut dice));
            if let Some(rate) = state.bytes_per_second {
                due += Duration::from_secs_f64(spread(length) / spread_u64(rate));
            }
            let Some(chunk) = buffer.get(..length) else { return };
            if send.send((due, chunk.to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = receive.recv().await {
            sleep_until(due).await;
            way.links.open(way.from, way.to).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(write);
    tokio::select! {
        // What was read before the end is still to be written.
        () = read => {}
        () = &mut write => return,
    }
    write.await;
}

/// How long something takes that has this delay.
pub(super) fn delay(delay: Option<(Duration, Duration)>, dice: &mut Dice) -> Duration {
    let Some((middle, jitter)) = delay else { return Duration::ZERO };
    let jitter = u64::try_from(jitter.as_micros()).unwrap_or(u64::MAX);
    (middle + Duration::from_micros(dice.between(0, jitter.saturating_mul(2))))
        .saturating_sub(Duration::from_micros(jitter))
}

fn spread(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

fn spread_u64(rate: u64) -> f64 {
    f64::from(u32::try_from(rate.max(1)).unwrap_or(u32::MAX))
}
