//! Bounded waiting: nothing in a drill waits without an end.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Pause between two looks.
pub const TICK: Duration = Duration::from_millis(20);

/// Looks again and again until `found` gives something.
///
/// # Errors
/// When `within` is over; the text names what was waited for.
pub async fn until<T, F>(what: &str, within: Duration, mut found: F) -> Result<T, String>
where
    F: AsyncFnMut() -> Option<T>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = found().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(format!("not within {} s: {what}", within.as_secs()));
        }
        sleep(TICK).await;
    }
}
