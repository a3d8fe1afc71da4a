//! `/mfa`

use std::time::Duration;

use super::super::oauth::ASK;
use super::super::session::LIVE;
use super::super::world::World;

/// EP062, S68: from the first half to the second, and back to the client.
#[tokio::test]
async fn the_second_factor_leads_back_to_the_client() {
    let world = World::with_apps().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.arrive(&ASK).await;
    let half = visitor.enter(&page, ann.email).await;
    assert!(half.answer.header("location").unwrap().starts_with("mfa?"));
    assert!(!visitor.jar.contains_key("hj_session") && visitor.jar.contains_key("hj_half"));
    let page = visitor.follow(&half).await;
    assert_eq!((page.answer.status.as_u16(), page.url.path()), (200, "/mfa"));
    let wrong = visitor.submit(&page, &[("code", &world.wrong_code(&ann.secret))]).await;
    assert_eq!(wrong.answer.status, 401);
    assert!(wrong.text().contains("This code is not right"), "{}", wrong.text());
    for none in [&[("code", "12345")][..], &[("code", "")], &[("recovery_code", "x")], &[]] {
        assert_eq!(visitor.submit(&page, none).await.answer.status, 401, "{none:?}");
    }
    assert_eq!(world.count(LIVE).await, 0);
    // As people type them.
    let code = world.next_code(&ann.secret);
    let typed = format!(" {} {} ", &code[..3], &code[3..]);
    let done = visitor.submit(&page, &[("code", &typed)]).await;
    assert_eq!(done.answer.status, 200, "{}", done.text());
    assert!(!visitor.jar.contains_key("hj_half"), "{:?}", visitor.jar);
    assert!(!visitor.jar.contains_key("hj_device"), "nobody asked for it");
    assert!(visitor.go_on(&done).await.sent("code").is_some());
    world.end().await;
}

/// S69: a device that is trusted is not asked again.
#[tokio::test]
async fn a_trusted_device_goes_straight_in() {
    let world = World::with_apps().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.open("/login?tenant_id=acme").await;
    let half = visitor.enter(&page, ann.email).await;
    let page = visitor.follow(&half).await;
    let fields = [("code", world.next_code(&ann.secret)), ("remember_device", "1".to_owned())];
    let done = visitor.submit(&page, &[("code", &fields[0].1), ("remember_device", "1")]).await;
    assert_eq!(done.answer.header("location"), Some("account?tenant_id=acme"));
    assert!(visitor.jar.contains_key("hj_device"));
    visitor.jar.remove("hj_session");
    visitor.sit(ann.email).await;
    world.end().await;
}

/// S67: a recovery code is good once.
#[tokio::test]
async fn a_recovery_code_is_good_once() {
    let world = World::with_apps().await;
    let ann = world.holder("acme", "ann@example.com").await;
    for expected in [303, 401] {
        let mut visitor = world.visitor();
        let page = visitor.open("/t/acme/login").await;
        let half = visitor.enter(&page, ann.email).await;
        let page = visitor.follow(&half).await;
        assert_eq!(page.url.path(), "/t/acme/mfa");
        let done = visitor.submit(&page, &[("recovery_code", &ann.recovery[0])]).await;
        assert_eq!(done.answer.status, expected, "{}", done.text());
    }
    world.end().await;
}

/// A half login that is over, or was never begun, leads back to the beginning.
#[tokio::test]
async fn without_a_first_half_there_is_no_second() {
    let world = World::with_apps().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.open("/mfa?tenant_id=acme").await;
    assert_eq!(page.answer.status, 401);
    assert!(page.text().contains("href=\"login?tenant_id=acme\""), "{}", page.text());
    let page = visitor.open("/login?tenant_id=acme").await;
    let half = visitor.enter(&page, ann.email).await;
    let page = visitor.follow(&half).await;
    world.clock.advance(Duration::from_secs(301));
    let late = visitor.submit(&page, &[("code", &world.next_code(&ann.secret))]).await;
    assert_eq!(late.answer.status, 401);
    assert!(late.text().contains("took too long"), "{}", late.text());
    assert!(!visitor.jar.contains_key("hj_half"));
    assert_eq!(world.count(LIVE).await, 0);
    world.end().await;
}
