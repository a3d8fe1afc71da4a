//! `/consent` (EP035)

use serde_json::json;

use super::super::oauth::{ASK, CALLBACK, with};
use super::super::world::World;
use super::{Shown, Visitor, encoded};

const CONSENTS: &str = "SELECT count(*) FROM consents WHERE revoked_at IS NULL";
const MORE: (&str, &str) = ("scope", "openid email offline_access");

async fn asked(visitor: &mut Visitor<'_>, ask: &[(&str, &str)]) -> Shown {
    let asked = visitor.open(&format!("/oauth2/authorize?{}", encoded(ask))).await;
    let page = visitor.follow(&asked).await;
    assert_eq!((page.answer.status.as_u16(), page.url.path()), (200, "/consent"), "{}", page.text());
    page
}

/// What is asked for is shown by name; what is allowed is remembered.
#[tokio::test]
async fn a_person_allows_what_is_shown() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut ann = world.visitor();
    ann.sit("ann@example.com").await;
    let ask = with(&ASK, &[MORE, ("state", "s")]);
    let page = asked(&mut ann, &ask).await;
    let text = page.text();
    for said in
        ["Allow app to use your account?", "ann@example.com", "See your e-mail address", "Stay connected"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("See your name"), "{text}");
    assert_eq!(world.count(CONSENTS).await, 0, "looking allows nothing");
    let done = ann.submit(&page, &[("answer", "allow")]).await;
    assert!(done.sent("code").unwrap().starts_with("hjc_acme."));
    assert_eq!(done.sent("state").as_deref(), Some("s"));
    assert_eq!(world.count(CONSENTS).await, 1);
    // Nobody is asked twice, and a form of before is answered again.
    let again = ann.open(&format!("/oauth2/authorize?{}", encoded(&ask))).await;
    assert!(again.sent("code").is_some());
    world.end().await;
}

#[tokio::test]
async fn a_person_refuses() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut ann = world.visitor();
    ann.sit("ann@example.com").await;
    let page = asked(&mut ann, &with(&ASK, &[MORE, ("state", "s")])).await;
    let done = ann.submit(&page, &[("answer", "deny")]).await;
    assert_eq!(done.sent("error").as_deref(), Some("access_denied"));
    assert_eq!(done.sent("state").as_deref(), Some("s"));
    assert!(done.sent("code").is_none());
    assert_eq!(world.count(CONSENTS).await, 0);
    world.end().await;
}

/// S19, S78: nobody else answers for the person.
#[tokio::test]
async fn an_answer_that_no_page_of_ours_sent_allows_nothing() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    world.register("acme", "eve@example.com").await;
    let (mut ann, mut eve) = (world.visitor(), world.visitor());
    ann.sit("ann@example.com").await;
    eve.sit("eve@example.com").await;
    let ask = with(&ASK, &[MORE]);
    let page = asked(&mut ann, &ask).await;
    let hers = asked(&mut eve, &ask).await.token();
    let login = ann.open("/login?tenant_id=acme").await.token();
    for token in ["", &hers, &login] {
        let fields = [("answer", "allow"), ("csrf_token", token)];
        let refused = ann.post(&page.action(), &[], &fields).await;
        assert_eq!(refused.answer.status, 403, "{token}: {}", refused.text());
        assert!(refused.text().contains("open for too long"), "{}", refused.text());
    }
    let token = page.token();
    let fields = [("answer", "allow"), ("csrf_token", token.as_str())];
    for header in [("origin", "https://evil.example"), ("sec-fetch-site", "same-site")] {
        assert_eq!(ann.post(&page.action(), &[header], &fields).await.answer.status, 403, "{header:?}");
    }
    assert_eq!(ann.submit(&page, &[("answer", "perhaps")]).await.answer.status, 400);
    assert_eq!(ann.submit(&page, &[]).await.answer.status, 400);
    assert_eq!(world.count(CONSENTS).await, 0);
    // Whoever has logged out in the meantime logs in first.
    let cookie = ann.jar["hj_session"].clone();
    world.leave(&cookie).await;
    let gone = ann.submit(&page, &[("answer", "allow")]).await;
    assert!(gone.answer.header("location").unwrap().contains("/login?"), "{:?}", gone.answer);
    assert_eq!(world.count(CONSENTS).await, 0);
    world.end().await;
}

/// The page is about an authorization request, and about nothing else.
#[tokio::test]
async fn a_page_without_a_request_asks_nothing() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut ann = world.visitor();
    ann.sit("ann@example.com").await;
    let wrong_client = format!("/oauth2/authorize?{}", encoded(&with(&ASK, &[("client_id", "nobody")])));
    let evil = with(&ASK, &[("redirect_uri", "https://evil.example/cb")]);
    let wrong_place = format!("/oauth2/authorize?{}", encoded(&evil));
    for return_to in ["", "/account", "/oauth2/authorize", "/oauth2/token?a=b", &wrong_client, &wrong_place] {
        let path = format!("/consent?{}", encoded(&[("return_to", return_to)]));
        let page = ann.open(&path).await;
        assert!(page.answer.status.is_client_error(), "{return_to}: {}", page.answer.status);
        assert!(page.answer.header("location").is_none() && !page.text().contains("evil"));
    }
    assert_eq!(ann.open("/consent").await.answer.status, 400);
    world.end().await;
}

/// A client that wants its answer as a form gets it as one (OAuth 2.0 Form Post Response Mode).
#[tokio::test]
async fn an_answer_as_a_form() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    world.raised().await;
    let scopes = ["openid", "profile", "email", "offline_access"];
    let patch = json!({"redirect_uris": [CALLBACK], "scopes": scopes, "policy_uri": "https://app.example/p",
        "name": "The <b>app</b>"});
    world.put_client("acme", "app", patch).await;
    let mut ann = world.visitor();
    ann.sit("ann@example.com").await;
    let page = asked(&mut ann, &with(&ASK, &[MORE, ("response_mode", "form_post")])).await;
    assert!(page.text().contains("href=\"https:&#x2f;&#x2f;app.example&#x2f;p\""), "{}", page.text());
    assert!(!page.text().contains("<b>"), "{}", page.text());
    let done = ann.submit(&page, &[("answer", "allow")]).await;
    assert_eq!(done.answer.status, 200);
    assert!(done.text().contains(&format!("action=\"{CALLBACK}\"")), "{}", done.text());
    assert!(done.text().contains("name=\"code\""), "{}", done.text());
    world.end().await;
}
