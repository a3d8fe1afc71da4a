//! Sends the mails that wait in the outboxes. Every node does, woken when it has written one and on a timer; what a node takes
//! is nobody else's meanwhile.

use std::convert::Infallible;
use std::time::Duration;

use super::Timer;
use crate::service::mail::Delivery;

/// How often it looks for mails that are due, unless it is woken.
pub const EVERY: Duration = Duration::from_secs(5);
/// Longest look; the sending itself is not part of it.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often the leader looks into all databases of tenants for what another node left behind.
pub const EVERYWHERE_EVERY: Duration = Duration::from_secs(5 * 60);

/// Runs the job, until the stop; then waits for what is on its way.
pub async fn run(timer: Timer, delivery: Delivery) {
    timer
        .run(|| {
            let delivery = delivery.clone();
            async move { delivery.tend().await }
        })
        .await;
    delivery.shutdown().await;
}

/// Has all databases looked into.
pub async fn run_everywhere(timer: Timer, delivery: Delivery) {
    timer
        .run(|| {
            delivery.look_everywhere();
            std::future::ready(Ok::<(), Infallible>(()))
        })
        .await;
}
