//! One piece of work on many databases, of which some may be dead.

use std::time::Duration;

use futures::StreamExt as _;

use crate::service::{Error, Result};

/// Databases that are worked on at the same time.
const AT_ONCE: usize = 16;
/// Longest work on one of them; the next run goes on.
const LIMIT: Duration = Duration::from_secs(60);

/// Does `work` on each of `items`, several at once, so that one that is dead or slow holds up no other one.
///
/// # Errors
/// The refusal of the earliest item that refused, after all were tried: the same one at each run while nothing changes.
pub(super) async fn on_each<T, F>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let started = items.into_iter().enumerate().map(|(place, item)| {
        let run = tokio::time::timeout(LIMIT, work(item));
        async move { (place, run.await.unwrap_or_else(|_| Err(too_long()))) }
    });
    let mut done = futures::stream::iter(started).buffer_unordered(AT_ONCE);
    let mut first: Option<(usize, Error)> = None;
    while let Some((place, result)) = done.next().await {
        if let Err(error) = result
            && first.as_ref().is_none_or(|(earlier, _)| place < *earlier)
        {
            first = Some((place, error));
        }
    }
    first.map_or(Ok(()), |(_, error)| Err(error))
}

fn too_long() -> Error {
    Error::storage_unavailable(format_args!("a job was not done with a database within {LIMIT:?}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_holds_up_no_other_and_the_earliest_refusal_is_told() {
        let (done, now, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let result = on_each(0..100, |item: usize| {
            let (done, now, most) = (&done, &now, &most);
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                if item == 2 {
                    // Dead as a database behind a firewall.
                    return std::future::pending().await;
                }
                let pause = Duration::from_secs(if item == 1 { 10 } else { 1 });
                tokio::time::sleep(pause).await;
                now.fetch_sub(1, Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
                if item == 1 || item == 50 { Err(Error::internal(item)) } else { Ok(()) }
            }
        });
        let began = tokio::time::Instant::now();
        assert_eq!(result.await.unwrap_err().private_context(), Some("1"));
        assert_eq!((done.load(Ordering::Relaxed), most.load(Ordering::Relaxed)), (99, AT_ONCE));
        assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    }
}
