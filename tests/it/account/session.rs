//! Sessions of browsers (EP020-1, EP010, EP130; S19, S77, S78, S80, S81, S93).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use hellojohn::crypto::secret::SecretString;
use hellojohn::domain::browser_session::BrowserSession;
use hellojohn::domain::clock::Clock as _;
use serde_json::{Value, json};

use super::world::{Answer, Choice, PASSWORD, Tokens, World, call, text_of};

const LOGIN: &str = "/v1/session/login";
const LOGOUT: &str = "/v1/session/logout";
pub(super) const LIVE: &str = "SELECT count(*) FROM browser_sessions WHERE revoked_at IS NULL";
const JSON: (&str, &str) = ("content-type", "application/json");

/// The value of the cookie that an answer sets.
pub(super) fn cookie_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let set = answer.header("set-cookie").unwrap();
    let (value, attributes) = set.strip_prefix("hj_session=").unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    assert!(value.starts_with("hjb_") && !answer.text().contains(value), "{set}");
    value.to_owned()
}

pub(super) fn credentials(tenant: &str, email: &str) -> Value {
    json!({"tenant_id": tenant, "client_id": "web", "email": email, "password": PASSWORD})
}

/// The same with other members.
pub(super) fn but(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("members, not {more}") };
    body.as_object_mut().unwrap().extend(more);
    body
}

impl World {
    /// A request as a browser sends it, with these headers.
    pub(super) async fn browse(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = call("POST", path, None, body);
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        self.send(request).await
    }

    pub(super) async fn enter(&self, body: &Value, cookie: &str) -> Answer {
        let cookie = format!("hj_session={cookie}");
        self.browse(LOGIN, &[JSON, ("cookie", &cookie)], &body.to_string()).await
    }

    pub(super) async fn leave(&self, cookie: &str) -> Answer {
        self.browse(LOGOUT, &[JSON, ("cookie", &format!("hj_session={cookie}"))], "").await
    }

    /// Logs a browser in; what its cookie holds.
    pub(super) async fn browser(&self, tenant: &str, email: &str) -> String {
        cookie_of(&self.enter(&credentials(tenant, email), "").await)
    }

    pub(super) async fn sits(&self, cookie: &str) -> Option<BrowserSession> {
        self.state.accounts.session_of(&SecretString::from(cookie)).await.unwrap()
    }
}

/// EP020, EP021
#[tokio::test]
async fn a_browser_logs_in_with_a_cookie_and_out_again() {
    let world = World::new().await;
    let ann = world.register("acme", "ann@example.com").await.json();
    let answer = world
        .enter(&but(credentials("acme", "ann@example.com"), json!({"return_to": "/account?a=b"})), "")
        .await;
    assert_eq!(answer.json(), json!({"return_to": "/account?a=b"}), "and no tokens");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let cookie = cookie_of(&answer);

    let session = world.sits(&cookie).await.unwrap();
    assert_eq!(session.user_id.to_string(), text_of(&ann["user"], "id"));
    assert_eq!((session.amr, session.auth_time), (vec!["pwd".to_owned()], world.clock.now()));
    assert_eq!(session.client.unwrap().client_id.as_str(), "web");
    assert_eq!(session.expires_at, world.clock.now().plus(Duration::from_secs(12 * 3600)));
    for secret in [
        "SELECT count(*) FROM browser_sessions b WHERE b::text LIKE '%hjb_%'",
        "SELECT count(*) FROM token_families",
    ] {
        assert_eq!(world.count(secret).await, 0, "{secret}");
    }
    // It is no token of another kind.
    assert_eq!(world.get("/v1/me", &cookie).await.status, 401);
    assert_eq!(world.refresh(&cookie).await.status, 401);
    assert_eq!(world.refresh(&cookie.replacen("hjb_", "hjr_", 1)).await.status, 401);

    for _ in 0..2 {
        let answer = world.leave(&cookie).await;
        assert_eq!(answer.status, 204);
        let gone = "hj_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
        assert_eq!(answer.header("set-cookie"), Some(gone), "again is as good");
        assert_eq!(world.sits(&cookie).await, None);
    }
    for none in ["", "nonsense", "hjb_nobody.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(world.leave(none).await.status, 204, "{none}");
    }
    assert_eq!(world.browse(LOGOUT, &[JSON], "{}").await.status, 204);
    assert_eq!(world.browse(LOGOUT, &[JSON], r#"{"all":true}"#).await.errors(), ["all: unknown_field"]);
    world.end().await;
}

/// Spec §13.8: the session of a tenant alone, and what a client has to say about one that goes through it.
#[tokio::test]
async fn a_session_goes_through_a_client_or_through_none() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let alone = but(credentials("acme", "ann@example.com"), json!({"client_id": null}));
    let answer = world.enter(&alone, "").await;
    assert_eq!(answer.json(), json!({"return_to": null}));
    let alone_cookie = cookie_of(&answer);
    assert_eq!(world.sits(&alone_cookie).await.unwrap().client, None);
    let cookie = world.browser("acme", "ann@example.com").await;

    for (more, status, code) in [
        (json!({"tenant_id": "nobody"}), 404, "tenant_not_found"),
        (json!({"tenant_id": "nobody", "client_id": null}), 404, "tenant_not_found"),
        (json!({"client_id": "other"}), 404, "client_not_found"),
        (json!({"password": "a wrong guess"}), 401, "invalid_credentials"),
        (json!({"email": "nobody@example.com"}), 401, "invalid_credentials"),
        (json!({"tenant_id": "local"}), 401, "invalid_credentials"),
    ] {
        let answer = world.enter(&but(credentials("acme", "ann@example.com"), more.clone()), "").await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{more}");
        assert!(answer.header("set-cookie").is_none());
    }
    world.put_client("acme", "web", json!({"enabled": false})).await;
    let refused = world.enter(&credentials("acme", "ann@example.com"), "").await;
    assert_eq!(refused.refusal(), (403, "client_disabled".to_owned()));
    assert_eq!(world.sits(&cookie).await, None, "S80");
    assert!(world.sits(&alone_cookie).await.is_some());
    world.put_client("acme", "web", json!({"enabled": true})).await;
    assert_eq!(world.sits(&cookie).await, None, "it does not come back");

    world.put_tenant("acme", json!({"status": "suspended"})).await;
    assert_eq!(world.enter(&alone, "").await.refusal(), (403, "tenant_suspended".to_owned()));
    assert_eq!(world.sits(&alone_cookie).await, None);
    assert_eq!(world.count(LIVE).await, 0, "the rows, too");
    world.put_tenant("acme", json!({"status": "active"})).await;
    assert_eq!(world.sits(&alone_cookie).await, None, "it does not come back");
    world.end().await;
}

/// S60: no more is told here than at the other login, and failures are counted together.
#[tokio::test]
async fn failures_are_told_and_counted_as_at_the_other_login() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let wrong = but(credentials("acme", "ann@example.com"), json!({"password": "a wrong guess"}));
    let unknown = but(credentials("acme", "eve@example.com"), json!({"password": "a wrong guess"}));
    let [mut one, mut two] = [world.enter(&wrong, "").await.json(), world.enter(&unknown, "").await.json()];
    one["request_id"] = json!(null);
    two["request_id"] = json!(null);
    assert_eq!(one, two);
    for _ in 0..4 {
        world.enter(&wrong, "").await;
        world.try_login("acme", "ann@example.com", "a wrong guess").await;
    }
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 9);
    world.enter(&wrong, "").await;
    let held = world.enter(&credentials("acme", "ann@example.com"), "").await;
    assert_eq!(held.refusal(), (403, "account_locked".to_owned()));
    let long = but(credentials("acme", "ann@example.com"), json!({"password": "x".repeat(1025)}));
    assert_eq!(world.enter(&long, "").await.status, 400);
    world.end().await;
}

/// Spec §10: one pool for both logins.
#[tokio::test]
async fn guesses_at_both_logins_share_one_limit() {
    let env = vec![("RATE_ENABLED", "1".to_owned()), ("RATE_LOGIN_LIMIT", "2".to_owned())];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.register("acme", "ann@example.com").await;
    let wrong = but(credentials("acme", "ann@example.com"), json!({"password": "a wrong guess"}));
    assert_eq!(world.enter(&wrong, "").await.status, 401);
    assert_eq!(world.try_login("acme", "ann@example.com", "a wrong guess").await.status, 401);
    assert_eq!(world.enter(&credentials("acme", "ann@example.com"), "").await.status, 429);
    world.end().await;
}

/// S77: a session that was there before is never taken over, and ends; whoever planted it has nothing.
#[tokio::test]
async fn every_login_makes_a_new_session_and_ends_the_one_that_came_with_it() {
    let world = World::new().await;
    for (tenant, email) in
        [("acme", "ann@example.com"), ("acme", "eve@example.com"), ("local", "eve@example.com")]
    {
        world.register(tenant, email).await;
    }
    let planted = "hjb_acme.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let first = cookie_of(&world.enter(&credentials("acme", "ann@example.com"), planted).await);
    assert_ne!(first, planted);
    assert_eq!(world.sits(planted).await, None);

    let second = cookie_of(&world.enter(&credentials("acme", "ann@example.com"), &first).await);
    assert!(world.sits(&first).await.is_none() && world.sits(&second).await.is_some());

    // Somebody else's, and one of another tenant.
    for (tenant, email) in [("acme", "eve@example.com"), ("local", "eve@example.com")] {
        let theirs = world.browser(tenant, email).await;
        let mine = cookie_of(&world.enter(&credentials("acme", "ann@example.com"), &theirs).await);
        assert!(world.sits(&theirs).await.is_none() && world.sits(&mine).await.is_some(), "{tenant}");
    }
    // A login that fails ends nothing, or anybody could log others out.
    let wrong = but(credentials("acme", "ann@example.com"), json!({"password": "a wrong guess"}));
    assert_eq!(world.enter(&wrong, &second).await.status, 401);
    assert!(world.sits(&second).await.is_some());
    // Two cookies of the name: one of them is a neighbour's.
    let two = format!("hj_session={second}; hj_session={planted}");
    let answer = world
        .browse(LOGIN, &[JSON, ("cookie", &two)], &credentials("acme", "ann@example.com").to_string())
        .await;
    assert_ne!(cookie_of(&answer), second);
    world.end().await;
}

#[tokio::test]
async fn parallel_logins_make_a_session_each() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let old = world.browser("acme", "ann@example.com").await;
    let body = credentials("acme", "ann@example.com");
    let answers = futures::future::join_all((0..8).map(|_| world.enter(&body, &old))).await;
    let mut cookies: Vec<String> = answers.iter().map(cookie_of).collect();
    for cookie in &cookies {
        assert!(world.sits(cookie).await.is_some());
    }
    cookies.sort();
    cookies.dedup();
    assert_eq!((cookies.len(), world.count(LIVE).await), (8, 8), "and the old one is over");
    world.end().await;
}

/// S103: a cookie is of its tenant alone.
#[tokio::test]
async fn a_cookie_is_worth_nothing_in_another_tenant() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    world.register("local", "ann@example.com").await;
    let cookie = world.browser("acme", "ann@example.com").await;
    for other in
        [cookie.replacen("acme", "local", 1), cookie.replacen("acme", "nobody", 1), cookie.to_uppercase()]
    {
        assert_eq!(world.sits(&other).await, None, "{other}");
        assert_eq!(world.leave(&other).await.status, 204);
    }
    assert!(world.sits(&cookie).await.is_some());
    world.end().await;
}

/// S78: what a page of another site sends neither begins nor ends a session.
#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    const OWN: &str = "https://id.example.com";
    const UI: &str = "https://ui.example.org";
    let env = vec![
        ("SERVER_PUBLIC_URL", OWN.to_owned()),
        ("UI_PUBLIC_ORIGIN", UI.to_owned()),
        ("SERVER_CORS_ALLOWED_ORIGINS", "https://app.example.com".to_owned()),
    ];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.register("acme", "ann@example.com").await;
    let body = credentials("acme", "ann@example.com").to_string();
    let table: &[(&[(&str, &str)], bool)] = &[
        (&[], true),
        (&[("origin", OWN)], true),
        (&[("origin", OWN), ("sec-fetch-site", "same-origin")], true),
        (&[("origin", UI), ("sec-fetch-site", "cross-site")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "https://app.example.com")], false),
        (&[("origin", "http://id.example.com")], false),
        (&[("origin", "https://id.example.com:8443")], false),
        (&[("origin", "https://id.example.com.evil.example")], false),
        (&[("origin", "HTTPS://ID.EXAMPLE.COM")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (&[("origin", OWN), ("origin", "https://evil.example")], false),
        (&[("origin", OWN), ("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
    ];
    for (headers, passes) in table {
        let mut sent = vec![JSON];
        sent.extend(*headers);
        let login = world.browse(LOGIN, &sent, &body).await;
        let logout = world.browse(LOGOUT, &sent, "").await;
        if *passes {
            assert_eq!((login.status.as_u16(), logout.status.as_u16()), (200, 204), "{headers:?}");
        } else {
            for answer in [login, logout] {
                assert_eq!(answer.refusal(), (403, "csrf_refused".to_owned()), "{headers:?}");
                assert!(answer.header("set-cookie").is_none(), "{headers:?}");
            }
        }
    }
    // What a form of HTML can send is no JSON.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "application/jsonx",
        "",
    ] {
        for (path, body) in [(LOGIN, body.as_str()), (LOGOUT, "")] {
            let answer = world.browse(path, &[("content-type", kind)], body).await;
            assert_eq!(answer.refusal(), (415, "unsupported_media_type".to_owned()), "{kind} {path}");
        }
    }
    assert_eq!(world.browse(LOGIN, &[], &body).await.status, 415);
    assert_eq!(world.browse(LOGIN, &[JSON, JSON], &body).await.status, 415);
    let charset = ("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(world.browse(LOGIN, &[charset], &body).await.status, 200);
    world.end().await;
}

/// Spec §13.8, S78
#[tokio::test]
async fn with_https_the_cookie_is_of_this_host_alone_and_secure() {
    let env = vec![("SERVER_PUBLIC_URL", "https://id.example.com".to_owned())];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.register("acme", "ann@example.com").await;
    let answer = world.enter(&credentials("acme", "ann@example.com"), "").await;
    let set = answer.header("set-cookie").unwrap();
    let value = set.strip_prefix("__Host-hj_session=").unwrap();
    assert_eq!(value.split_once("; ").unwrap().1, "Path=/; HttpOnly; SameSite=Lax; Secure");
    world.end().await;
}

/// S93: a path of ours, or nothing is done.
#[tokio::test]
async fn return_to_leads_nowhere_else() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    for bad in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%2f/evil.example",
        "",
        "account",
        "/a\n",
    ] {
        let body = but(credentials("acme", "ann@example.com"), json!({"return_to": bad}));
        let answer = world.enter(&body, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.errors()),
            (422, vec!["return_to: invalid".to_owned()]),
            "{bad}"
        );
    }
    assert_eq!(world.count(LIVE).await, 0);
    let body = but(credentials("acme", "ann@example.com"), json!({"return_to": null}));
    let camel = json!({"tenantId": "acme", "clientId": "web", "email": "ann@example.com", "password": PASSWORD, "returnTo": "/"});
    assert_eq!(world.enter(&body, "").await.json(), json!({"return_to": null}));
    assert_eq!(world.enter(&camel, "").await.json(), json!({"return_to": "/"}));
    world.end().await;
}

/// S19: whoever logs in is never sent on by this server with the body in hand.
#[tokio::test]
async fn no_answer_is_a_redirect() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let body = but(credentials("acme", "ann@example.com"), json!({"return_to": "/account"}));
    let answer = world.enter(&body, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (200, None));
    let tokens: Tokens = world.login("acme", "ann@example.com").await;
    assert!(!tokens.access.is_empty(), "the other login gives tokens as before");
    world.end().await;
}
