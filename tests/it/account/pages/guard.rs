//! Forms that no page of ours has made (S19, S78).

use std::time::Duration;

use super::super::session::LIVE;
use super::super::world::{PASSWORD, World};

const CREDENTIALS: [(&str, &str); 2] = [("email", "ann@example.com"), ("password", PASSWORD)];

/// S78: a form of another browser, of another site, of long ago, or of nobody logs nobody in.
#[tokio::test]
async fn a_form_is_good_where_it_was_given_and_for_an_hour() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let (mut ann, mut eve) = (world.visitor(), world.visitor());
    let page = ann.open("/login?tenant_id=acme").await;
    let hers = eve.open("/login?tenant_id=acme").await;
    assert_ne!(ann.jar, eve.jar);
    let (action, token) = (page.action(), page.token());
    let longer = format!("{token}x");
    for wrong in ["", "x", &longer, &hers.token()] {
        let fields = [CREDENTIALS[0], CREDENTIALS[1], ("csrf_token", wrong)];
        let refused = ann.post(&action, &[], &fields).await;
        assert_eq!(refused.answer.status, 403, "{wrong}");
        assert!(refused.text().contains("open for too long"), "{}", refused.text());
    }
    assert_eq!(ann.post(&action, &[], &CREDENTIALS).await.answer.status, 403);
    let right = [CREDENTIALS[0], CREDENTIALS[1], ("csrf_token", token.as_str())];
    let twice = [right[0], right[1], right[2], right[2]];
    assert_eq!(ann.post(&action, &[], &twice).await.answer.status, 400);
    for header in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(ann.post(&action, &[header], &right).await.answer.status, 403, "{header:?}");
    }
    // Without its cookie, or with one of another length, a form is nobody's.
    let kept = ann.jar.clone();
    ann.jar.clear();
    assert_eq!(ann.post(&action, &[], &right).await.answer.status, 403);
    ann.jar.insert("hj_form".to_owned(), String::new());
    assert_eq!(ann.post(&action, &[], &right).await.answer.status, 403);
    ann.jar = kept;
    world.clock.advance(Duration::from_secs(3601));
    let late = ann.post(&action, &[], &right).await;
    assert_eq!(late.answer.status, 403);
    assert_eq!(world.count(LIVE).await, 0);
    // The page that says so has a form that works.
    let done = ann.enter(&late, "ann@example.com").await;
    assert_eq!(done.answer.status, 303, "{}", done.text());
    assert_eq!(world.count(LIVE).await, 1);
    world.end().await;
}

/// S19: a form is a form, of a size, and sent by POST.
#[tokio::test]
async fn what_is_no_form_is_refused() {
    let world = World::with_apps().await;
    let mut visitor = world.visitor();
    let page = visitor.open("/login?tenant_id=acme").await;
    let json = world.post("/login?tenant_id=acme", &serde_json::json!({"email": "a", "password": "b"})).await;
    assert_eq!(json.status, 415, "{}", json.text());
    let large = "x".repeat(2 * 1024 * 1024);
    let answer = visitor.submit(&page, &[("email", &large)]).await.answer;
    assert_eq!(answer.status, 413, "{}", answer.text().len());
    world.end().await;
}
