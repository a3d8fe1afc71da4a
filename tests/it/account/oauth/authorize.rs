//! Letting a client in (EP030, RFC 6749 §4.1; OpenID Connect Core §3.1.2).

use std::time::Duration;

use serde_json::json;

use super::super::world::{ISSUER, World};
use super::{ASK, CALLBACK, CHALLENGE, query, sent, value, with};

/// S15, S16, RFC 9207: the answer has the code, the state as it came and the issuer.
#[tokio::test]
async fn a_browser_with_a_session_is_sent_back_with_a_code() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let state = "a b&c=d+e%20<\"'>ü";
    let answer = world.authorize(&cookie, &with(&ASK, &[("state", state)])).await;
    let params = sent(&answer);
    assert!(value(&params, "code").unwrap().starts_with("hjc_acme."));
    assert_eq!(value(&params, "state"), Some(state));
    assert_eq!(value(&params, "iss"), Some(ISSUER));
    assert_eq!(params.len(), 3);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    world.end().await;
}

/// Without a session the browser goes to the login page and knows the way back; a program is told so.
#[tokio::test]
async fn who_is_not_logged_in_is_sent_to_the_login() {
    let world = World::with_apps().await;
    let more = [("state", "x"), ("login_hint", "ann@example.com"), ("ui_locales", "es en")];
    let answer = world.authorize("", &with(&ASK, &more)).await;
    assert_eq!(answer.status, 303);
    let (path, text) = answer.header("location").unwrap().split_once('?').unwrap();
    assert_eq!(path, "/login");
    let page = query(text);
    for (name, expected) in [
        ("tenant_id", "acme"),
        ("client_id", "app"),
        ("login_hint", "ann@example.com"),
        ("ui_locales", "es en"),
    ] {
        assert_eq!(value(&page, name), Some(expected));
    }
    let back = value(&page, "return_to").unwrap();
    assert!(back.starts_with("/oauth2/authorize?"), "{back}");
    world.register("acme", "ann@example.com").await;
    let cookie = world.browser("acme", "ann@example.com").await;
    assert!(value(&sent(&world.follow(&cookie, back).await), "code").is_some());
    let mut program =
        super::super::world::call("GET", &format!("/oauth2/authorize?{}", super::encoded(&ASK)), None, "");
    program.headers_mut().insert("accept", "application/json".parse().unwrap());
    let answer = world.send(program).await;
    assert_eq!(super::oauth_error(&answer), (401, "login_required".to_owned()));
    world.end().await;
}

/// S23
#[tokio::test]
async fn prompt_none_asks_nobody_anything() {
    let world = World::with_apps().await;
    let ask = with(&ASK, &[("prompt", "none"), ("state", "s")]);
    let params = sent(&world.authorize("", &ask).await);
    assert_eq!(value(&params, "error"), Some("login_required"));
    assert_eq!((value(&params, "state"), value(&params, "iss")), (Some("s"), Some(ISSUER)));
    let cookie = world.seated("ann@example.com").await;
    assert!(value(&sent(&world.authorize(&cookie, &ask).await), "code").is_some());
    let ask = with(&ask, &[("scope", "openid offline_access")]);
    let params = sent(&world.authorize(&cookie, &ask).await);
    assert_eq!(value(&params, "error"), Some("consent_required"));
    for contradiction in ["none login", "none consent", "login none"] {
        let params = sent(&world.authorize(&cookie, &with(&ask, &[("prompt", contradiction)])).await);
        assert_eq!(value(&params, "error"), Some("invalid_request"), "{contradiction}");
    }
    world.end().await;
}

/// S23: `prompt=login` is met by a login that came after the request, and by no other; so is `max_age`.
#[tokio::test]
async fn a_fresh_login_is_one_that_was_asked_for() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    world.clock.advance(Duration::from_secs(100));
    for more in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "99"), ("max_age", "0")] {
        let answer = world.authorize(&cookie, &with(&ASK, &[more])).await;
        let (path, text) = answer.header("location").unwrap().split_once('?').unwrap();
        assert_eq!(path, "/login", "{more:?}");
        let page = query(text);
        let back = value(&page, "return_to").unwrap();
        // The old session does not become fresh by coming back.
        let again = world.follow(&cookie, back).await;
        assert!(again.header("location").unwrap().starts_with("/login?"), "{more:?}");
        world.clock.advance(Duration::from_secs(1));
        let fresh = world.browser("acme", "ann@example.com").await;
        world.clock.advance(Duration::from_secs(5));
        assert!(value(&sent(&world.follow(&fresh, back).await), "code").is_some(), "{more:?}");
        // Nor does a mark help another request, or somebody who has changed it.
        let stolen = query(back.split_once('?').unwrap().1);
        let mark = value(&stolen, "hj_begun").unwrap();
        let other = with(&ASK, &[more, ("state", "another"), ("hj_begun", mark)]);
        let answer = world.authorize(&fresh, &other).await;
        let young = more == ("max_age", "99");
        assert_eq!(answer.header("location").unwrap().starts_with("/login?"), !young, "{more:?}");
        world.clock.advance(Duration::from_secs(95));
    }
    let answer = world.authorize(&cookie, &with(&ASK, &[("max_age", "10000")])).await;
    assert!(value(&sent(&answer), "code").is_some());
    world.end().await;
}

/// `prompt=create` (Initiating User Registration 1.0 §3)
#[tokio::test]
async fn who_wants_an_account_is_sent_to_the_registration() {
    let world = World::with_apps().await;
    let answer = world.authorize("", &with(&ASK, &[("prompt", "create")])).await;
    assert!(answer.header("location").unwrap().starts_with("/register?"));
    world.end().await;
}

/// S05, S08, S11, S13, S24, S25: what is wrong is told to the client, by name.
#[tokio::test]
async fn a_wrong_request_is_answered_at_the_clients_address() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let long = "x".repeat(1025);
    let cases: [(&[(&str, &str)], &str); 24] = [
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "id_token token")], "unsupported_response_type"),
        (&[("response_type", "code id_token")], "unsupported_response_type"),
        (&[("response_type", "none")], "unsupported_response_type"),
        (&[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "s256")], "invalid_request"),
        (&[("code_challenge", &CHALLENGE[1..])], "invalid_request"),
        (&[("code_challenge", &long)], "invalid_request"),
        (&[("scope", "openid admin")], "invalid_scope"),
        (&[("scope", "OPENID")], "invalid_scope"),
        (&[("scope", "openid\u{0}")], "invalid_scope"),
        (&[("prompt", "whatever")], "invalid_request"),
        (&[("max_age", "-1")], "invalid_request"),
        (&[("max_age", "1e3")], "invalid_request"),
        (&[("nonce", &long)], "invalid_request"),
        (&[("request", "a.b.c")], "request_not_supported"),
        (&[("request_uri", "https://app.example/r")], "request_uri_not_supported"),
        (&[("registration", "{}")], "registration_not_supported"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("resource", "https://api.example")], "invalid_target"),
    ];
    for (more, expected) in cases {
        let params = sent(&world.authorize(&cookie, &with(&ASK, more)).await);
        assert_eq!(value(&params, "error"), Some(expected), "{more:?}");
        assert_eq!(value(&params, "iss"), Some(ISSUER), "{more:?}");
        assert!(value(&params, "code").is_none() && value(&params, "error_description").is_some());
    }
    // Twice is once too often, and says nothing about whose address it is.
    let twice = format!("{}&scope=openid", super::encoded(&ASK));
    let answer = world.follow(&cookie, &format!("/oauth2/authorize?{twice}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (400, None));
    world.end().await;
}

/// Without a word about scopes a client gets those that it is registered for (RFC 6749 §3.3).
#[tokio::test]
async fn a_client_that_names_no_scope_gets_its_own() {
    let world = World::with_apps().await;
    world.put_client("acme", "app", json!({"scopes": ["openid", "email"]})).await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &with(&ASK, &[("scope", "")])).await;
    let answer = world.redeem(&code, &[]).await;
    assert_eq!(answer.json()["scope"], "openid email");
    world.end().await;
}

/// EP030: POST is taken like GET; `form_post` comes back as a form (S16: nothing of it is markup).
#[tokio::test]
async fn the_answer_can_be_posted() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let ask = with(&ASK, &[("response_mode", "form_post"), ("state", "\"><script>alert(1)</script>")]);
    let cookie = format!("hj_session={cookie}");
    let answer = world.form("/oauth2/authorize", &[("cookie", &cookie), ("accept", "text/html")], &ask).await;
    assert_eq!(answer.status, 200);
    let page = answer.text();
    assert!(page.contains(&format!("<form method=\"post\" action=\"{CALLBACK}\">")), "{page}");
    assert!(page.contains("name=\"code\" value=\"hjc_acme."));
    assert!(page.contains("value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\""), "{page}");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action https://app.example;") && policy.contains("frame-ancestors 'none'"));
    assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"));
    world.end().await;
}

/// Consents: what is not taken for given is asked, once; who takes it back is asked again.
#[tokio::test]
async fn consent_is_asked_for_what_is_not_taken_for_given() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let asks = async |params: &[(&str, &str)]| {
        let answer = world.authorize(&cookie, params).await;
        answer.header("location").unwrap().starts_with("/consent?")
    };
    assert!(!asks(&ASK).await);
    assert!(asks(&with(&ASK, &[("prompt", "consent")])).await);
    let more = with(&ASK, &[("scope", "openid offline_access")]);
    assert!(asks(&more).await);
    assert_eq!(
        world.count("SELECT count(*) FROM consents").await,
        1,
        "what was taken for given is on record"
    );
    world.sql("UPDATE consents SET scopes = ARRAY['offline_access', 'openid']").await;
    assert!(!asks(&more).await);
    world.sql("UPDATE consents SET revoked_at = now()").await;
    assert!(asks(&more).await);
    assert!(asks(&ASK).await, "also for what would be taken for given of others");
    world.sql("DELETE FROM consents").await;
    world.put_client("acme", "app", json!({"require_consent": true})).await;
    assert!(asks(&ASK).await);
    world.end().await;
}

/// S80, S35: who may not log in any more lets no client in.
#[tokio::test]
async fn nobody_is_let_in_by_whom_nobody_may_be() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let other = world.seated("bob@example.com").await;
    world.sql("UPDATE users SET status = 'disabled' WHERE email = 'ann@example.com'").await;
    let answer = world.authorize(&cookie, &ASK).await;
    assert!(answer.header("location").unwrap().starts_with("/login?"));
    // The session of another tenant is none here.
    world.furnish_apps("local").await;
    let answer = world.authorize(&other, &with(&ASK, &[("tenant_id", "local")])).await;
    assert!(answer.header("location").unwrap().starts_with("/login?"));
    world.put_client("acme", "app", json!({"providers": ["google"]})).await;
    let answer = world.authorize(&other, &ASK).await;
    assert!(answer.header("location").unwrap().starts_with("/login?"), "another way to log in is asked for");
    world.end().await;
}
