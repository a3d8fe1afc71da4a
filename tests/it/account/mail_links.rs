//! What mailed links do and do not (EP050-EP053; S60, S70-S76).

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::mail::{Mailing, accepting, asked, plain};
use super::world::{Answer, Choice, PASSWORD, Tokens, World, call};
use crate::harness::smtp::SmtpSink;

const NEW: &str = "another horse, battery";

fn dead() -> (u16, String) {
    (400, "invalid_mail_token".to_owned())
}

/// A world with an account and the token of a reset that was asked for.
async fn forgotten() -> (Mailing, String) {
    let mailing = Mailing::new().await;
    mailing.world.register("acme", "ann@example.com").await;
    mailing.forgot("Ann@Example.COM").await;
    let mails = mailing.delivered(2).await;
    let mail = mails.iter().find(|mail| mail.data.contains("Choose a new password")).unwrap();
    assert_eq!(
        mail.to,
        ["RCPT TO:<ann@example.com>"],
        "the account's own address, not the one that was typed"
    );
    let token = mail.token();
    (mailing, token)
}

/// Asks again after the cool-down; the token of the new mail, which is the last.
async fn again(mailing: &Mailing) -> String {
    mailing.world.clock.advance(Duration::from_secs(61));
    mailing.forgot("ann@example.com").await;
    let count = mailing.sink.mails().len() + 1;
    mailing.delivered(count).await.pop().unwrap().token()
}

/// S71, S75: the new password counts, every session ends, a hold ends, the address is verified; the token works once.
#[tokio::test]
async fn a_reset_sets_the_password_and_ends_everything_else() {
    let (mailing, token) = forgotten().await;
    let world = &mailing.world;
    let before = [world.login("acme", "ann@example.com").await, world.login("acme", "ann@example.com").await];
    for _ in 0..10 {
        world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    }
    let held = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(held.refusal(), (403, "account_locked".to_owned()));
    let verify = mailing.sink.mails().iter().find(|mail| mail.data.contains("verify-email")).unwrap().token();

    let answer = mailing.reset(&token, NEW).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(world.try_login("acme", "ann@example.com", NEW).await.status, 200, "the hold is over");
    for tokens in &before {
        assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
        assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    }
    assert_eq!(world.count("SELECT count(*) FROM users WHERE email_verified").await, 1);

    assert_eq!(mailing.reset(&token, "a third horse, battery").await.refusal(), dead(), "once");
    let old =
        world.send(accepting(&format!("/v1/auth/verify-email?token={verify}"), "application/json")).await;
    assert_eq!(old.refusal(), dead(), "links from before are dead, too");
    mailing.end().await;
}

/// S71: of parallel uses of one token one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_parallel_resets_with_one_token_one_is_made() {
    let (mailing, token) = forgotten().await;
    let all = (0..8).map(|n| {
        let (mailing, token) = (&mailing, &token);
        async move { mailing.reset(token, &format!("{NEW} {n}")).await.status.as_u16() }
    });
    let mut statuses = futures::future::join_all(all).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 400, 400, 400, 400, 400, 400, 400]);
    mailing.end().await;
}

/// S71, S73: expired, replaced, of another tenant, for another purpose, forged, or of an account that is gone.
#[tokio::test]
async fn only_the_newest_token_of_its_purpose_and_tenant_works_and_only_for_a_while() {
    let (mailing, first) = forgotten().await;
    let world = &mailing.world;
    let verify = mailing.sink.mails().iter().find(|mail| mail.data.contains("verify-email")).unwrap().token();
    let second = again(&mailing).await;
    assert_eq!(mailing.reset(&first, NEW).await.refusal(), dead(), "replaced by the second");
    assert_eq!(mailing.reset(&verify, NEW).await.refusal(), dead(), "for another purpose");
    let path = format!("/v1/auth/verify-email?token={second}");
    assert_eq!(
        world.send(accepting(&path, "application/json")).await.refusal(),
        dead(),
        "the other way round"
    );
    world.register("local", "ann@example.com").await;
    mailing.delivered(4).await;
    let moved = second.replacen("hjl_acme.", "hjl_local.", 1);
    assert_eq!(mailing.reset(&moved, NEW).await.refusal(), dead(), "in another tenant");
    let session = world.login("acme", "ann@example.com").await;
    for bad in
        ["", "hjl_acme.", "x", &session.refresh, &session.access, &format!("{second}A"), "hjl_nobody.AAAA"]
    {
        assert_eq!(mailing.reset(bad, NEW).await.refusal(), dead(), "{bad}");
    }
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(mailing.reset(&second, NEW).await.refusal(), dead(), "expired");

    let third = again(&mailing).await;
    world
        .sql("UPDATE users SET email = 'b@example.com', email_key = 'b@example.com' WHERE tenant = 'acme'")
        .await;
    assert_eq!(mailing.reset(&third, NEW).await.refusal(), dead(), "the account has another address now");
    world
        .sql(
            "UPDATE users SET email = 'ann@example.com', email_key = 'ann@example.com' WHERE tenant = 'acme'",
        )
        .await;
    world.sql("UPDATE users SET status = 'disabled' WHERE tenant = 'acme'").await;
    assert_eq!(mailing.reset(&third, NEW).await.refusal(), dead(), "a reset switches no account on");
    world.sql("UPDATE users SET status = 'active' WHERE tenant = 'acme'").await;
    assert_eq!(mailing.reset(&third, NEW).await.status, 204, "nothing of this had used it up");
    mailing.end().await;
}

/// S72: a password that is refused does not use the token up, and nothing but the token sets one.
#[tokio::test]
async fn a_refused_password_keeps_the_token() {
    let (mailing, token) = forgotten().await;
    let world = &mailing.world;
    world
        .put_tenant("acme", json!({"settings": {"passwordPolicy": {"minLength": 12, "requireDigit": true}}}))
        .await;
    let hashed = world.hashes.begun();
    let answer = mailing.reset(&token, "short").await;
    assert_eq!(answer.refusal(), (422, "validation_failed".to_owned()));
    assert_eq!(answer.errors(), ["new_password: too_short", "new_password: needs_digit"]);
    let answer = mailing.reset(&token, "ann@example.com").await;
    assert!(answer.errors().contains(&"new_password: same_as_account".to_owned()), "{}", answer.text());
    let answer = mailing.reset(&token, &"x1".repeat(600)).await;
    assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()));
    assert_eq!(world.hashes.begun(), hashed, "nothing was hashed for a refusal");
    for body in [
        json!({"new_password": NEW}),
        json!({"token": token}),
        json!({"token": token, "new_password": NEW, "email": "x"}),
    ] {
        assert_eq!(world.post("/v1/auth/reset", &body).await.status, 422);
    }
    assert_eq!(mailing.reset(&token, "a horse with 1 battery").await.status, 204);
    mailing.end().await;
}

/// `AUTH_RESET_AUTO_LOGIN`: tokens of the client that asked; the password that was changed afterwards ends them like any.
#[tokio::test]
async fn a_reset_logs_in_where_that_is_wanted() {
    let mailing = Mailing::with(&[("AUTH_RESET_AUTO_LOGIN", "1")]).await;
    let world = &mailing.world;
    world.register("acme", "ann@example.com").await;
    mailing.forgot("ann@example.com").await;
    let mails = mailing.delivered(2).await;
    let token = mails.iter().find(|mail| mail.data.contains("/reset?")).unwrap().token();
    let body = json!({"token": token, "new_password": NEW, "client_id": "nothing"});
    assert_eq!(world.post("/v1/auth/reset", &body).await.refusal(), (404, "client_not_found".to_owned()));
    let tokens = Tokens::of(&mailing.reset(&token, NEW).await);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 200);
    // A page shows no tokens, so it starts no session.
    let token = again(&mailing).await;
    let sessions = "SELECT count(*) FROM token_families WHERE revoked_at IS NULL";
    assert_eq!(
        world.send(form("/reset", &format!("token={token}&new_password=a+third+horse"))).await.status,
        200
    );
    assert_eq!(world.count(sessions).await, 0);
    mailing.end().await;
}

/// S34: a password that its owner changes makes a reset that somebody asked for worthless.
#[tokio::test]
async fn changing_the_password_kills_links_that_were_mailed() {
    let (mailing, token) = forgotten().await;
    let world = &mailing.world;
    let session = world.login("acme", "ann@example.com").await;
    let change = json!({"current_password": "wrong wrong wrong", "new_password": NEW});
    world.send(call("POST", "/v1/me/password", Some(&session.access), &change.to_string())).await;
    assert_eq!(world.count("SELECT count(*) FROM mail_tokens WHERE purpose = 'reset'").await, 1);
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let answer =
        world.send(call("POST", "/v1/me/password", Some(&session.access), &change.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(mailing.reset(&token, "a third horse, battery").await.refusal(), dead());
    mailing.end().await;
}

/// S60: known, unknown, disabled and mailed-a-moment-ago: one answer.
#[tokio::test]
async fn forgot_and_verify_answer_the_same_for_everybody() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    for email in ["ann@example.com", "off@example.com", "verified@example.com"] {
        world.register("acme", email).await;
    }
    world.sql("UPDATE users SET status = 'disabled' WHERE email = 'off@example.com'").await;
    world.sql("UPDATE users SET email_verified = true WHERE email = 'verified@example.com'").await;
    mailing.delivered(3).await;
    world.clock.advance(Duration::from_secs(61));
    for path in ["/v1/auth/forgot", "/v1/auth/verify-email/start"] {
        let mut answers = Vec::new();
        for email in [
            "ann@example.com",
            "ann@example.com",
            "nobody@example.com",
            "off@example.com",
            "verified@example.com",
        ] {
            answers.push(world.post(path, &asked(email)).await);
        }
        let shown = |answer: &Answer| {
            let names: Vec<&str> = answer.headers.keys().map(axum::http::HeaderName::as_str).collect();
            format!("{} {} {names:?}", answer.status, answer.text())
        };
        assert_eq!(answers[0].text(), r#"{"status":"accepted"}"#);
        assert!(answers.iter().all(|answer| shown(answer) == shown(&answers[0])), "{path}: {answers:?}");
    }
    // forgot: ann, verified; verify: ann. Nobody gets a second mail within a minute, and nobody else any.
    let mails = mailing.delivered(6).await;
    let mut sent: Vec<(bool, &str)> =
        mails[3..].iter().map(|mail| (mail.data.contains("/reset?"), mail.to[0].as_str())).collect();
    sent.sort_unstable();
    assert_eq!(
        sent,
        [
            (false, "RCPT TO:<ann@example.com>"),
            (true, "RCPT TO:<ann@example.com>"),
            (true, "RCPT TO:<verified@example.com>")
        ]
    );
    mailing.end().await;
}

/// S60: for somebody who has no account the same statements run.
#[tokio::test]
async fn the_same_statements_run_for_known_and_unknown_addresses() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    world.register("acme", "ann@example.com").await;
    let statements = async |email: &str| {
        let (captured, guard) = super::audit::capture_all();
        mailing.forgot(email).await;
        drop(guard);
        captured.operations()
    };
    let known = statements("ann@example.com").await;
    assert_eq!(known, statements("nobody@example.com").await);
    assert!(known.iter().any(|operation| operation == "mail_tokens.issue"), "{known:?}");
    mailing.end().await;
}

/// The place is checked before anybody is looked for, and malformed input is told.
#[tokio::test]
async fn the_place_and_the_address_are_checked() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    world.put_tenant("gone-fishing", json!({"status": "suspended"})).await;
    world.put_client("acme", "off", json!({"enabled": false})).await;
    for path in ["/v1/auth/forgot", "/v1/auth/verify-email/start"] {
        for (body, expected) in [
            (json!({"tenant_id": "nobody", "email": "a@example.com"}), (404, "tenant_not_found")),
            (json!({"tenant_id": "gone-fishing", "email": "a@example.com"}), (403, "tenant_suspended")),
            (
                json!({"tenant_id": "acme", "client_id": "no", "email": "a@example.com"}),
                (404, "client_not_found"),
            ),
            (
                json!({"tenantId": "acme", "clientId": "off", "email": "a@example.com"}),
                (403, "client_disabled"),
            ),
            (json!({"tenant_id": "acme", "email": "no address"}), (422, "validation_failed")),
            (json!({"tenant_id": "acme"}), (422, "validation_failed")),
            (json!({"tenant_id": "acme", "email": "a@example.com", "x": 1}), (422, "validation_failed")),
            (json!({"tenant_id": "acme", "email": "a@example.com"}), (202, "")),
        ] {
            let answer = world.post(path, &body).await;
            assert_eq!(answer.refusal(), (expected.0, expected.1.to_owned()), "{path} {body}");
        }
    }
    let answer = world.post("/v1/auth/verify-email/start", &json!({})).await;
    assert_eq!(answer.errors(), ["tenant_id: required", "email: required"]);
    mailing.end().await;
}

/// EP050: a person who is logged in asks for their own address.
#[tokio::test]
async fn a_bearer_token_asks_for_its_own_address() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    let session = world.session("acme", "ann@example.com").await;
    mailing.delivered(1).await;
    world.clock.advance(Duration::from_secs(61));
    let path = "/v1/auth/verify-email/start";
    let answer = world.send(call("POST", path, Some(&session.access), "")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let mail = mailing.delivered(2).await.remove(1);
    assert_eq!(mail.to, ["RCPT TO:<ann@example.com>"]);
    let answer = world.send(call("POST", path, Some("stolen"), "")).await;
    assert_eq!(answer.refusal(), (401, "invalid_token".to_owned()));
    mailing.end().await;
}

fn form(path: &str, body: &str) -> Request<Body> {
    let mut request = call("POST", path, None, body);
    let kind = "application/x-www-form-urlencoded".parse().unwrap();
    request.headers_mut().insert("content-type", kind);
    request
}

/// S74, S18, S20: looking at a link changes nothing, on the API and on the page; the button does, and again.
#[tokio::test]
async fn looking_at_a_link_changes_nothing_and_the_button_confirms() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    world.register("acme", "ann@example.com").await;
    let token = mailing.delivered(1).await.remove(0).token();
    let verified = "SELECT count(*) FROM users WHERE email_verified";
    for kinds in ["text/html,application/json", "*/*", "text/html"] {
        let answer = world.send(accepting(&format!("/v1/auth/verify-email?token={token}"), kinds)).await;
        assert_eq!(answer.status, 303, "{kinds}");
    }
    let page = world.send(call("GET", &format!("/verify-email?token={token}"), None, "")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let csp = page.header("content-security-policy").unwrap();
    assert!(
        csp.starts_with("default-src 'none'; style-src 'sha256-") && csp.contains("frame-ancestors 'none'")
    );
    assert!(
        page.text().contains(&format!("value=\"{token}\"")) && !page.text().contains("http"),
        "{}",
        page.text()
    );
    assert_eq!(world.count(verified).await, 0);

    for _ in 0..2 {
        let done = world.send(form("/verify-email", &format!("token={token}"))).await;
        assert_eq!(done.status, 200, "{}", done.text());
    }
    assert_eq!(world.count(verified).await, 1);
    let told = "SELECT count(*) FROM audit_events WHERE action = 'user.verify_email' AND outcome = 'ok'";
    assert_eq!(world.count(told).await, 1, "the second time nothing happened");
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(world.send(form("/verify-email", &format!("token={token}"))).await.status, 400);
    for (path, evil) in [("/verify-email", "%22%3E%3Cscript%3E"), ("/reset", "hjl_acme.%22%3E%3Cscript%3E")] {
        let page = world.send(call("GET", &format!("{path}?token={evil}"), None, "")).await;
        assert_eq!(page.status, 400);
        assert!(!page.text().contains("<script"), "{}", page.text());
        assert_eq!(world.send(call("GET", path, None, "")).await.status, 400);
    }
    let answer = world.send(accepting("/v1/auth/verify-email?token=%0d%0aX-Evil:1", "text/html")).await;
    assert_eq!(answer.refusal(), dead());
    mailing.end().await;
}

/// The page sets a password, tells what is wrong with one, and tells of a dead link.
#[tokio::test]
async fn the_reset_page_sets_a_password() {
    let (mailing, token) = forgotten().await;
    let world = &mailing.world;
    let page = world.send(call("GET", &format!("/reset?token={token}"), None, "")).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("type=\"password\""));
    let page = world.send(form("/reset", &format!("token={token}&new_password=short"))).await;
    assert_eq!(page.status, 422);
    assert!(page.text().contains("role=\"alert\"") && page.text().contains(&token), "{}", page.text());
    let page = world.send(form("/reset", &format!("token={token}"))).await;
    assert_eq!(page.status, 400, "without a password");
    let page =
        world.send(form("/reset", &format!("token={token}&new_password=another+horse%2C+battery"))).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(world.try_login("acme", "ann@example.com", NEW).await.status, 200);
    let page =
        world.send(form("/reset", &format!("token={token}&new_password=another+horse%2C+battery"))).await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("not valid any more"));
    mailing.end().await;
}

/// spec §13.8: the pages are also below the tenant, and there for its own links only.
#[tokio::test]
async fn the_pages_are_also_below_the_tenant() {
    let (mailing, token) = forgotten().await;
    let world = &mailing.world;
    for path in ["/t/local/reset", "/t/nobody/reset"] {
        assert_eq!(world.send(call("GET", &format!("{path}?token={token}"), None, "")).await.status, 400);
        let page =
            world.send(form(path, &format!("token={token}&new_password=another+horse%2C+battery"))).await;
        assert_eq!(page.status, 400);
    }
    let page = world.send(call("GET", &format!("/t/a..b/reset?token={token}"), None, "")).await;
    assert_eq!(page.refusal(), (400, "invalid_slug".to_owned()));
    let page = world.send(call("GET", &format!("/t/acme/reset?token={token}"), None, "")).await;
    assert!(page.status == 200 && page.text().contains("action=\"reset\""), "{}", page.text());
    let page = world
        .send(form("/t/acme/reset", &format!("token={token}&new_password=another+horse%2C+battery")))
        .await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(world.try_login("acme", "ann@example.com", NEW).await.status, 200);
    mailing.end().await;
}

/// EP001, S60: every registration is answered alike; the mail tells the owner of the address, and nobody else, what is so.
#[tokio::test]
async fn an_enumeration_safe_registration_tells_by_mail_only() {
    let mailing = Mailing::with(&[("REGISTER_ENUMERATION_SAFE", "1")]).await;
    let world = &mailing.world;
    let mut body = asked("ann@example.com");
    body["password"] = json!(PASSWORD);
    let hashed = world.hashes.begun();
    let fresh = world.post("/v1/auth/register", &body).await;
    assert_eq!((fresh.status.as_u16(), fresh.text().as_str()), (202, r#"{"status":"accepted"}"#));
    assert_eq!(world.hashes.begun(), hashed + 1);
    let mail = mailing.delivered(1).await.remove(0);
    assert!(mail.link().contains("/verify-email?token="), "{}", mail.link());

    body["password"] = json!("the attacker's own password");
    let taken = world.post("/v1/auth/register", &body).await;
    assert_eq!((taken.status, taken.body.clone()), (fresh.status, fresh.body.clone()));
    let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&taken), names(&fresh));
    assert_eq!(world.hashes.begun(), hashed + 2, "the same work");
    assert_eq!(world.count("SELECT count(*) FROM users").await, 1);
    assert_eq!(world.try_login("acme", "ann@example.com", "the attacker's own password").await.status, 401);
    let mail = mailing.delivered(2).await.remove(1);
    assert_eq!(mail.header("Subject"), "You already have an account at acme");
    assert_eq!(mailing.reset(&mail.token(), NEW).await.status, 204, "and can choose a new password");
    // What is wrong with the input itself is told as ever.
    body["password"] = json!("short");
    assert_eq!(world.post("/v1/auth/register", &body).await.errors(), ["password: too_short"]);
    mailing.end().await;
}

/// S60: a registration runs the same statements whether the address is free or taken.
#[tokio::test]
async fn an_enumeration_safe_registration_runs_the_same_statements() {
    let mailing = Mailing::with(&[("REGISTER_ENUMERATION_SAFE", "1")]).await;
    let mut body = asked("ann@example.com");
    body["password"] = json!(PASSWORD);
    // The first use of the tenant on this node looks besides whose rows the database has.
    assert_eq!(mailing.world.try_login("acme", "nobody@example.com", PASSWORD).await.status, 401);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (captured, guard) = super::audit::capture_all();
        assert_eq!(mailing.world.post("/v1/auth/register", &body).await.status, 202);
        drop(guard);
        seen.push(captured.operations());
    }
    assert_eq!(seen[0], seen[1]);
    mailing.end().await;
}

/// S112, S111: neither a dump of the database nor the log shows a token, a link or a recipient of a mail that waits.
#[tokio::test]
async fn a_dump_has_no_token_and_no_link() {
    let mut sink = SmtpSink::start().await;
    let world = World::with(Choice { env: plain(&sink), ..Choice::default() }).await;
    sink.die().await;
    let mut mailing = Mailing { world, sink };
    let (captured, guard) = super::audit::capture_all();
    mailing.world.register("acme", "ann@example.com").await;
    mailing.forgot("ann@example.com").await;
    mailing.world.state.delivery.tend().await.unwrap();
    mailing.settled().await;
    let dump = dump(&mailing.world).await;
    assert_eq!(mailing.waiting().await, 2);
    mailing.sink.come_back().await;
    mailing.world.clock.advance(Duration::from_secs(150));
    let mails = mailing.delivered(2).await;
    drop(guard);
    let log = captured.text();
    for mail in mails {
        let token = mail.token();
        let random = token.split_once('.').unwrap().1;
        for text in [&dump, &log] {
            assert!(
                !text.contains(random)
                    && !text.contains("verify-email?token")
                    && !text.contains("reset?token")
            );
        }
    }
    assert!(dump.contains("GCMV1:") && log.contains("security event"));
    mailing.end().await;
}

/// Every row of every table of mails, as text.
async fn dump(world: &World) -> String {
    let mut connection = world.db.connection().await;
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT t::text FROM mail_tokens t UNION ALL SELECT o::text FROM mail_outbox o \
         UNION ALL SELECT d::text FROM known_devices d",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    rows.join("\n")
}
