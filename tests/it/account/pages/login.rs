//! `/login`

use std::time::Duration;

use serde_json::json;

use super::super::oauth::{ASK, CALLBACK, with};
use super::super::session::LIVE;
use super::super::world::{Choice, World};

/// EP030: from the client to the page and back with a code; the page is a page of nobody else.
#[tokio::test]
async fn a_person_logs_in_and_comes_back_to_the_client() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut ann = world.visitor();
    let page = ann.arrive(&with(&ASK, &[("state", "s 1"), ("login_hint", "ann@example.com")])).await;
    assert_eq!((page.answer.status.as_u16(), page.url.path()), (200, "/login"));
    let text = page.text();
    assert!(text.contains("To continue to app") && text.contains("value=\"ann@example.com\""), "{text}");
    for (name, expected) in [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.answer.header(name), Some(expected));
    }
    let policy = page.answer.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self'; frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("script") && !text.contains("<script"), "{policy}");

    let done = ann.enter(&page, "ann@example.com").await;
    assert!(done.answer.headers.get_all("set-cookie").iter().count() == 1, "the session and nothing else");
    let back = ann.go_on(&done).await;
    assert!(back.answer.header("location").unwrap().starts_with(CALLBACK));
    assert_eq!(back.sent("state").as_deref(), Some("s 1"));
    let tokens = world.redeem(&back.sent("code").unwrap(), &[]).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    world.end().await;
}

/// S60: who there is, nobody learns here; what was typed stays, but for the password.
#[tokio::test]
async fn a_wrong_password_and_a_stranger_are_told_the_same() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.open("/login?tenant_id=acme&client_id=app").await;
    let mut told = Vec::new();
    for email in ["ann@example.com", "eve@example.com", "no address", ""] {
        let fields = [("email", email), ("password", "hunter2 is wrong")];
        let again = visitor.submit(&page, &fields).await;
        assert_eq!(again.answer.status, 401);
        let text = again.text();
        assert!(text.contains("role=\"alert\"") && !text.contains("hunter2"), "{text}");
        assert!(text.contains(&format!("value=\"{email}\"")) && text.contains("aria-invalid"), "{text}");
        told.push(if email.is_empty() { text } else { text.replace(email, "") });
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(world.count(LIVE).await, 0);
    let long = "x".repeat(5000);
    let again = visitor.submit(&page, &[("email", "ann@example.com"), ("password", &long)]).await;
    assert_eq!(again.answer.status, 401);
    world.end().await;
}

/// The API's refusals, in words for people.
#[tokio::test]
async fn what_keeps_a_person_out_is_said() {
    let env = vec![("RATE_ENABLED", "1".to_owned()), ("RATE_LOGIN_LIMIT", "2".to_owned())];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.furnish_apps("acme").await;
    world.put_client("acme", "social", json!({"redirect_uris": [CALLBACK], "providers": ["google"]})).await;
    world.register("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.open("/login?tenant_id=acme&client_id=social").await;
    let refused = visitor.enter(&page, "ann@example.com").await;
    assert_eq!(refused.answer.status, 403);
    assert!(refused.text().contains("does not let people in by password"), "{}", refused.text());
    world.sql("UPDATE users SET status = 'disabled'").await;
    let page = visitor.open("/login?tenant_id=acme").await;
    let refused = visitor.enter(&page, "ann@example.com").await;
    assert_eq!(refused.answer.status, 403);
    assert!(refused.text().contains("This account is disabled"), "{}", refused.text());
    let mut last = refused;
    for _ in 0..3 {
        last = visitor.submit(&page, &[("email", "ann@example.com"), ("password", "wrong")]).await;
    }
    assert_eq!(last.answer.status, 429);
    assert!(last.text().contains("too often") && last.answer.header("retry-after").is_some());
    world.end().await;
}

/// S93: a page leads to our own paths only.
#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let world = World::with_apps().await;
    let mut visitor = world.visitor();
    for evil in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a/../b", "x"]
    {
        let path = format!("/login?tenant_id=acme&{}", super::encoded(&[("return_to", evil)]));
        let page = visitor.open(&path).await;
        assert_eq!(page.answer.status, 400, "{evil}");
        assert!(!page.text().contains("evil"), "{}", page.text());
    }
    world.end().await;
}

/// S108: what comes from outside is text.
#[tokio::test]
async fn nothing_from_outside_becomes_markup() {
    let world = World::with_apps().await;
    let evil = "\"><script>evil()</script><a b='";
    world.put_tenant("local", json!({"name": evil, "settings": {"branding": {"display_name": evil}}})).await;
    world.put_client("local", "odd", json!({"name": evil, "redirect_uris": [CALLBACK]})).await;
    let mut visitor = world.visitor();
    let query = [("tenant_id", "local"), ("client_id", "odd"), ("login_hint", evil), ("ui_locales", evil)];
    let path = format!("/login?{}", super::encoded(&query));
    let page = visitor.open(&path).await;
    assert_eq!(page.answer.status, 200, "{}", page.text());
    let again = visitor.submit(&page, &[("email", evil), ("password", evil)]).await;
    for shown in [&page, &again] {
        let text = shown.text();
        assert!(text.contains("evil()"), "it is shown: {text}");
        assert!(!text.contains("<script") && !text.contains("<a b") && !text.contains("\">&lt;"), "{text}");
    }
    world.end().await;
}

/// The language that was asked for stays through the visit; else it is the browser's.
#[tokio::test]
async fn the_pages_speak_spanish() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.arrive(&with(&ASK, &[("ui_locales", "fr es")])).await;
    assert!(page.text().contains("<html lang=\"es\">") && page.text().contains("Contraseña"));
    let again = visitor.submit(&page, &[("email", "ann@example.com"), ("password", "x")]).await;
    assert!(again.text().contains("no son correctos"), "{}", again.text());
    assert!(again.text().contains("ui_locales=fr+es"), "links keep it");
    let done = visitor.enter(&again, "ann@example.com").await;
    assert!(done.text().contains("Un momento"));
    visitor.language = "es-ES,es;q=0.9";
    let page = visitor.open("/login?tenant_id=acme").await;
    assert!(page.text().contains("<html lang=\"es\">"));
    world.end().await;
}

/// spec §13.8: the pages are also below the tenant.
#[tokio::test]
async fn a_login_below_the_tenant() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let mut visitor = world.visitor();
    let page = visitor.open("/t/acme/login").await;
    assert_eq!(page.action().path(), "/t/acme/login");
    let done = visitor.enter(&page, "ann@example.com").await;
    let account = visitor.follow(&done).await;
    assert_eq!((account.answer.status.as_u16(), account.url.path()), (200, "/t/acme/account"));
    for (path, status) in [
        ("/t/nobody/login", 404),
        ("/login?tenant_id=nobody", 404),
        ("/login?tenant_id=acme&client_id=nobody", 404),
        ("/login", 400),
        ("/t/acme/login?tenant_id=local", 400),
        ("/login?tenant_id=acme&tenant_id=local", 400),
    ] {
        let page = visitor.open(path).await;
        assert_eq!(page.answer.status, status, "{path}: {}", page.text());
        assert!(page.answer.header("content-type").unwrap().starts_with("text/html"), "{path}");
    }
    world.end().await;
}

/// S77: a login ends the session that was there, and a second one at the same time is another one.
#[tokio::test]
async fn a_second_login_takes_the_place_of_the_first() {
    let world = World::with_apps().await;
    for email in ["ann@example.com", "bob@example.com"] {
        world.register("acme", email).await;
    }
    let mut visitor = world.visitor();
    visitor.sit("ann@example.com").await;
    let first = visitor.jar["hj_session"].clone();
    world.clock.advance(Duration::from_secs(1));
    visitor.sit("bob@example.com").await;
    assert_ne!(visitor.jar["hj_session"], first);
    assert!(world.sits(&first).await.is_none());
    assert_eq!(world.count(LIVE).await, 1);
    world.end().await;
}
