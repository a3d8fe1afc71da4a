//! `/forgot`

use super::super::mail::Mailing;
use super::super::world::call;

/// S60: the page says the same of everybody; who has an account gets a link that works.
#[tokio::test]
async fn a_link_is_mailed_to_who_has_an_account() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    world.register("acme", "ann@example.com").await;
    mailing.delivered(1).await;
    let mut visitor = world.visitor();
    let page = visitor.open("/forgot?tenant_id=acme").await;
    assert_eq!(page.answer.status, 200, "{}", page.text());
    let stranger = visitor.submit(&page, &[("email", "eve@example.com")]).await;
    let known = visitor.submit(&page, &[("email", "ann@example.com")]).await;
    assert_eq!(known.answer.status, 200, "{}", known.text());
    assert_eq!(known.text(), stranger.text());
    let wrong = visitor.submit(&page, &[("email", "no address")]).await;
    assert_eq!(wrong.answer.status, 422, "{}", wrong.text());
    let unsafe_form = visitor.post(&page.action(), &[], &[("email", "ann@example.com")]).await;
    assert_eq!(unsafe_form.answer.status, 403);
    let mail = mailing.delivered(2).await.remove(1);
    assert!(mail.to[0].contains("ann@example.com"), "{:?}", mail.to);
    let reset = world.send(call("GET", &format!("/reset?token={}", mail.token()), None, "")).await;
    assert_eq!(reset.status, 200);
    mailing.end().await;
}
