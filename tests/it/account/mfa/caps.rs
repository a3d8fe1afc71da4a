//! How much of second factors is kept for one account: a script that begins logins, or trusts devices, fills no table (S68, S69).

use std::time::Duration;

use super::{Tokens, World, refused};

/// S68: the ten newest half logins can be finished.
#[tokio::test]
async fn the_ten_newest_half_logins_of_an_account_are_kept() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let bob = world.holder("acme", "bob@example.com").await;
    let of_bob = world.half(&bob).await;
    let mut halves = Vec::new();
    for _ in 0..12 {
        world.clock.advance(Duration::from_secs(1));
        halves.push(world.half(&ann).await);
    }
    assert_eq!(world.count("SELECT count(*) FROM mfa_tokens").await, 11, "and the one of somebody else");
    for over in &halves[..2] {
        assert_eq!(world.recover(over, &ann.recovery[0]).await.refusal(), refused("invalid_mfa_token"));
    }
    Tokens::of(&world.recover(&halves[2], &ann.recovery[0]).await);
    Tokens::of(&world.recover(&halves[11], &ann.recovery[1]).await);
    Tokens::of(&world.recover(&of_bob, &bob.recovery[0]).await);
    world.end().await;
}

/// S69: the twenty newest devices are trusted.
#[tokio::test]
async fn the_twenty_newest_devices_of_an_account_are_trusted() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let bob = world.holder("acme", "bob@example.com").await;
    let (_, of_bob) = world.remembered(&bob).await;
    let mut devices = Vec::new();
    for _ in 0..21 {
        devices.push(world.remembered(&ann).await.1);
    }
    assert_eq!(world.count("SELECT count(*) FROM trusted_devices").await, 21, "and the one of somebody else");
    assert!(!world.is_trusted(&ann, &devices[0]).await);
    assert!(world.is_trusted(&ann, &devices[1]).await && world.is_trusted(&ann, &devices[20]).await);
    assert!(world.is_trusted(&bob, &of_bob).await);
    world.end().await;
}
