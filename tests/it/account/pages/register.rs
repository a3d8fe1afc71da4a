//! `/register`

use super::super::oauth::{ASK, with};
use super::super::session::LIVE;
use super::super::world::{Choice, PASSWORD, World};

const USERS: &str = "SELECT count(*) FROM users";

/// EP001: a new account, a session, and back to the client.
#[tokio::test]
async fn a_person_registers_and_comes_back_to_the_client() {
    let world = World::with_apps().await;
    let mut ann = world.visitor();
    let page = ann.arrive(&with(&ASK, &[("prompt", "create")])).await;
    assert_eq!((page.answer.status.as_u16(), page.url.path()), (200, "/register"));
    let done = ann.enter(&page, "ann@example.com").await;
    assert_eq!(world.count(USERS).await, 1);
    let back = ann.go_on(&done).await;
    assert!(back.sent("code").unwrap().starts_with("hjc_acme."));
    world.end().await;
}

/// What is wrong is said where it is wrong; nothing is half done.
#[tokio::test]
async fn what_is_wrong_with_an_account_is_said_beside_its_field() {
    let world = World::with_apps().await;
    let mut visitor = world.visitor();
    let page = visitor.open("/register?tenant_id=acme&client_id=app").await;
    let cases = [
        ("no address", PASSWORD, "id=\"wrong-email\"", "id=\"wrong-password\""),
        ("ann@example.com", "short", "id=\"wrong-password\"", "id=\"wrong-email\""),
        ("ann@example.com", "", "id=\"wrong-password\"", "id=\"wrong-email\""),
    ];
    for (email, password, said, not_said) in cases {
        let again = visitor.submit(&page, &[("email", email), ("password", password)]).await;
        assert_eq!(again.answer.status, 422, "{}", again.text());
        let text = again.text();
        assert!(text.contains(said) && !text.contains(not_said), "{text}");
        assert!(text.contains("aria-describedby=\"wrong-") && !text.contains("id=\"alert\""), "{text}");
        assert!(text.contains(&format!("value=\"{email}\"")), "{text}");
    }
    assert_eq!((world.count(USERS).await, world.count(LIVE).await), (0, 0));
    world.register("acme", "ann@example.com").await;
    let taken = visitor.enter(&page, "ann@example.com").await;
    assert_eq!(taken.answer.status, 409);
    assert!(taken.text().contains("There is an account with this address"), "{}", taken.text());
    // People register through a client.
    assert_eq!(visitor.open("/register?tenant_id=acme").await.answer.status, 400);
    let login = visitor.open("/login?tenant_id=acme").await;
    assert!(!login.text().contains("register?"), "{}", login.text());
    world.end().await;
}

/// S60: with enumeration-safe registration the page tells nobody who there is.
#[tokio::test]
async fn an_enumeration_safe_page_says_the_same_of_everybody() {
    let env = vec![
        ("REGISTER_ENUMERATION_SAFE", "1".to_owned()),
        ("SMTP_HOST", "127.0.0.1".to_owned()),
        ("SMTP_FROM", "id@example.com".to_owned()),
    ];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.furnish_apps("acme").await;
    let mut visitor = world.visitor();
    let page = visitor.open("/register?tenant_id=acme&client_id=app").await;
    let first = visitor.enter(&page, "ann@example.com").await;
    let second = visitor.enter(&page, "ann@example.com").await;
    assert_eq!(first.answer.status, 200, "{}", first.text());
    assert!(first.text().contains("Look into your inbox"), "{}", first.text());
    assert_eq!(first.text(), second.text());
    assert_eq!((world.count(USERS).await, world.count(LIVE).await), (1, 0));
    world.end().await;
}
