//! `/account`

use super::super::session::LIVE;
use super::super::world::World;

#[tokio::test]
async fn who_is_logged_in_sees_it_and_logs_out() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut ann = world.visitor();
    let page = ann.open("/account?tenant_id=acme").await;
    assert_eq!(page.answer.header("location"), Some("login?tenant_id=acme"));
    ann.sit("ann@example.com").await;
    let page = ann.open("/account").await;
    assert!(page.answer.status == 200 && page.text().contains("ann@example.com"), "{}", page.text());
    // S78
    let refused = ann.post(&page.action(), &[], &[("do", "log_out")]).await;
    assert_eq!(refused.answer.status, 403);
    assert_eq!(ann.submit(&page, &[("do", "harm")]).await.answer.status, 400);
    assert_eq!(world.count(LIVE).await, 1);
    let out = ann.submit(&page, &[("do", "log_out")]).await;
    assert_eq!(out.answer.status, 200, "{}", out.text());
    assert!(out.text().contains("You are logged out") && !ann.jar.contains_key("hj_session"));
    assert_eq!(world.count(LIVE).await, 0);
    world.end().await;
}
