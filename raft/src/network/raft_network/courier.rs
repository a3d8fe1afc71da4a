//! Messages that wait a moment, because the next one is likely to say the same and more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

/// How long a message waits to be overtaken. A client that writes one after the other is back by then.
const PAUSE: Duration = Duration::from_millis(1);

/// Counts what was sent to one peer, so that a message that waited can tell whether it is still news.
#[derive(Debug, Default)]
pub(super) struct Courier {
    sent: Arc<AtomicU64>,
}

impl Courier {
    /// Something is sent that says all that waits: none of it leaves any more.
    pub(super) fn overtake(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The work of sending a message later, if nothing overtakes it. It overtakes what waits already.
    pub(super) fn later(
        &self,
        send: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let sent = Arc::clone(&self.sent);
        let own = sent.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            sleep(PAUSE).await;
            if sent.load(Ordering::Relaxed) == own {
                send.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn only_the_newest_leaves_and_only_if_nothing_overtook_it() {
        let courier = Courier::default();
        let left: Arc<Mutex<Vec<u8>>> = Arc::default();
        let note = |number| {
            let left = Arc::clone(&left);
            courier.later(async move { left.lock().unwrap().push(number) })
        };
        let (first, second) = (note(1), note(2));
        first.await;
        second.await;
        let third = note(3);
        courier.overtake();
        third.await;
        note(4).await;
        assert_eq!(*left.lock().unwrap(), [2, 4]);
    }
}
