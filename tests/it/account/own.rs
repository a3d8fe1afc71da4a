//! What people control about their own account: profile, sessions, password, deletion (EP007-EP010; S34, S61, S81, S102).

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Answer, PASSWORD, Tokens, World, call};

const NEW: &str = "another horse, battery";

impl World {
    pub(super) async fn ask(&self, method: &str, path: &str, bearer: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(call(method, path, Some(bearer), &body)).await
    }
}

fn change(current: &str, new: &str) -> Value {
    json!({"current_password": current, "new_password": new})
}

#[tokio::test]
async fn people_edit_what_is_theirs_and_a_null_clears_it() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let patch = json!({"given_name": " Ann ", "family_name": "Lee", "picture": "https://pics.example/a.png",
        "locale": "pt-BR"});
    let answer = world.ask("PUT", "/v1/me", &tokens.access, patch).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let user = &answer.json()["user"];
    assert_eq!((&user["given_name"], &user["locale"]), (&json!("Ann"), &json!("pt-BR")));

    let answer =
        world.ask("PUT", "/v1/me", &tokens.access, json!({"family_name": null, "picture": ""})).await;
    let user = &answer.json()["user"];
    assert_eq!(
        (&user["given_name"], &user["family_name"], &user["picture"]),
        (&json!("Ann"), &json!(null), &json!(null))
    );
    assert_eq!(world.get("/v1/me", &tokens.access).await.json()["user"], *user);
    world.end().await;
}

/// S102: what an administrator decides is not a field here, and nothing is written when any field is wrong.
#[tokio::test]
async fn fields_that_are_not_theirs_and_values_that_make_no_sense_are_refused_by_name() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    for field in
        ["email", "email_verified", "status", "sys_admin", "roles", "tenant_id", "custom", "id", "password"]
    {
        let answer =
            world.ask("PUT", "/v1/me", &tokens.access, json!({"given_name": "Eve", field: true})).await;
        assert_eq!(answer.status, 422, "{field}");
        assert_eq!(answer.errors(), [format!("{field}: unknown_field")]);
    }
    let wrong = json!({"given_name": "a\u{0}b", "family_name": "x".repeat(201), "picture": "javascript:alert(1)",
        "locale": "de_DE"});
    let answer = world.ask("PUT", "/v1/me", &tokens.access, wrong).await;
    let expected =
        ["given_name: invalid", "family_name: too_long", "picture: invalid_url", "locale: invalid_locale"];
    assert_eq!((answer.status.as_u16(), answer.errors()), (422, expected.map(str::to_owned).to_vec()));
    for picture in [
        "http://pics.example/a",
        "https://u:p@pics.example/a",
        "https:pics.example/a",
        "https:\\\\pics.example/a",
        "https://@pics.example/a",
        "/a.png",
        "https://",
    ] {
        let answer = world.ask("PUT", "/v1/me", &tokens.access, json!({"picture": picture})).await;
        assert_eq!(answer.errors(), ["picture: invalid_url"], "{picture}");
    }
    let user = world.get("/v1/me", &tokens.access).await.json()["user"].clone();
    assert_eq!((&user["given_name"], &user["picture"]), (&json!(null), &json!(null)));
    assert_eq!(world.send(call("PUT", "/v1/me", None, "{}")).await.status, 401);
    world.end().await;
}

/// EP009: for applications that were granted it.
#[tokio::test]
async fn the_profile_wants_its_scope() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let answer = world.get("/v1/profile", &tokens.access).await;
    assert_eq!(answer.refusal(), (403, "insufficient_scope".to_owned()));
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("profile:read"), "{challenge}");

    world.put_client("acme", "web", json!({"scopes": ["openid", "profile:read"]})).await;
    let tokens = world.login("acme", "ann@example.com").await;
    world.ask("PUT", "/v1/me", &tokens.access, json!({"given_name": "Ann", "family_name": "Lee"})).await;
    let profile = world.get("/v1/profile", &tokens.access).await.json();
    assert_eq!(profile["sub"], tokens.claims().sub);
    assert_eq!(
        (&profile["name"], &profile["email"], &profile["email_verified"]),
        (&json!("Ann Lee"), &json!("ann@example.com"), &json!(false))
    );
    let mut members: Vec<_> = profile.as_object().unwrap().keys().cloned().collect();
    members.sort_unstable();
    let expected =
        ["email", "email_verified", "family_name", "given_name", "name", "picture", "sub", "updated_at"];
    assert_eq!(members, expected);
    world.end().await;
}

/// S81
#[tokio::test]
async fn people_see_their_live_sessions_and_end_one_of_them() {
    let world = World::new().await;
    let one = world.session("acme", "ann@example.com").await;
    let two = world.login("acme", "ann@example.com").await;
    let gone = world.login("acme", "ann@example.com").await;
    let eve = world.session("acme", "eve@example.com").await;
    assert_eq!(world.ask("POST", "/v1/auth/logout", &gone.access, json!(null)).await.status, 204);

    let list = world.get("/v1/me/sessions", &one.access).await.json();
    let sessions = list["items"].as_array().unwrap().clone();
    assert_eq!((sessions.len(), &list["next_cursor"]), (2, &json!(null)));
    let current: Vec<_> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["id"].as_str(), one.claims().sid.as_deref());
    assert_eq!((&current[0]["client_id"], &current[0]["amr"]), (&json!("web"), &json!(["pwd"])));
    let text = list.to_string();
    assert!(!text.contains(&one.refresh) && !text.contains("hash"), "{text}");

    // Page by page, every one once.
    let first = world.get("/v1/me/sessions?limit=1", &one.access).await.json();
    let next = format!("/v1/me/sessions?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = world.get(&next, &one.access).await.json();
    assert_eq!(second["next_cursor"], json!(null));
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    let bad = world.get("/v1/me/sessions?cursor=YQ", &one.access).await;
    assert_eq!(bad.refusal(), (400, "invalid_parameter".to_owned()));

    let path = |tokens: &Tokens| format!("/v1/me/sessions/{}", tokens.claims().sid.unwrap());
    for stranger in [path(&eve), path(&gone), format!("/v1/me/sessions/{}", uuid::Uuid::nil())] {
        let answer = world.ask("DELETE", &stranger, &one.access, json!(null)).await;
        assert_eq!(answer.refusal(), (404, "session_not_found".to_owned()), "{stranger}");
    }
    assert_eq!(world.ask("DELETE", "/v1/me/sessions/x", &one.access, json!(null)).await.status, 400);
    assert_eq!(world.ask("DELETE", &path(&two), &one.access, json!(null)).await.status, 204);
    assert_eq!(world.get("/v1/me", &two.access).await.status, 401);
    assert_eq!(world.refresh(&two.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &eve.access).await.status, 200);
    assert_eq!(world.ask("DELETE", &path(&one), &one.access, json!(null)).await.status, 204, "one's own too");
    assert_eq!(world.get("/v1/me", &one.access).await.status, 401);
    world.end().await;
}

#[tokio::test]
async fn a_session_past_its_end_is_not_listed() {
    let world = World::new().await;
    world.session("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(7 * 86_400));
    let fresh = world.login("acme", "ann@example.com").await;
    let list = world.get("/v1/me/sessions", &fresh.access).await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    world.end().await;
}

/// A right password does not delete an account that was held back since the password was compared, or before.
#[tokio::test]
async fn an_account_that_is_held_back_is_not_deleted() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    world.sql("UPDATE users SET locked_until = '2100-01-01T00:00:00Z'").await;
    let answer = world.ask("DELETE", "/v1/me", &tokens.access, json!({"password": PASSWORD})).await;
    assert_eq!(answer.refusal(), (403, "account_locked".to_owned()));
    assert_eq!(world.count("SELECT count(*) FROM users").await, 1);
    world.end().await;
}

/// S34: every session and refresh token dies, and whoever changed it goes on with new ones.
#[tokio::test]
async fn a_changed_password_ends_every_session_but_the_new_one() {
    let world = World::new().await;
    let one = world.session("acme", "ann@example.com").await;
    let two = world.login("acme", "ann@example.com").await;
    let answer = world.ask("POST", "/v1/me/password", &one.access, change(PASSWORD, NEW)).await;
    let fresh = Tokens::of(&answer);
    for old in [&one, &two] {
        assert_eq!(world.get("/v1/me", &old.access).await.status, 401);
        assert_eq!(world.refresh(&old.refresh).await.status, 401);
    }
    assert_eq!(world.get("/v1/me", &fresh.access).await.status, 200);
    Tokens::of(&world.refresh(&fresh.refresh).await);
    let old = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(old.refusal(), (401, "invalid_credentials".to_owned()));
    assert_eq!(world.try_login("acme", "ann@example.com", NEW).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_new_password_keeps_the_rules_and_is_another_one() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    for (new, code) in [("short", "too_short"), (PASSWORD, "unchanged")] {
        let answer = world.ask("POST", "/v1/me/password", &tokens.access, change(PASSWORD, new)).await;
        assert_eq!(answer.errors(), [format!("new_password: {code}")], "{}", answer.text());
    }
    let long =
        world.ask("POST", "/v1/me/password", &tokens.access, change(PASSWORD, &"x".repeat(1025))).await;
    assert_eq!(long.refusal(), (400, "invalid_parameter".to_owned()));
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200, "nothing was ended");
    world.end().await;
}

/// S61: whoever holds a stolen token guesses no better than anybody at the login.
#[tokio::test]
async fn wrong_current_passwords_are_counted_as_failed_logins() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    for n in 0..10 {
        let (method, path, body) = if n % 2 == 0 {
            ("POST", "/v1/me/password", change("a wrong guess", NEW))
        } else {
            ("DELETE", "/v1/me", json!({"password": "a wrong guess"}))
        };
        let answer = world.ask(method, path, &tokens.access, body).await;
        assert_eq!(answer.refusal(), (401, "invalid_credentials".to_owned()));
    }
    let answer = world.ask("POST", "/v1/me/password", &tokens.access, change(PASSWORD, NEW)).await;
    assert_eq!(answer.refusal(), (403, "account_locked".to_owned()), "told after the right password only");
    let answer = world.ask("POST", "/v1/me/password", &tokens.access, change("a wrong guess", NEW)).await;
    assert_eq!(answer.refusal(), (401, "invalid_credentials".to_owned()));
    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(answer.refusal(), (403, "account_locked".to_owned()));
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200, "nobody is logged out by it");
    world.end().await;
}

/// Of two changes at once one is made, and there is one live session afterwards.
#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let both = [NEW, "a third horse, battery"];
    let answers = futures::future::join_all(
        both.map(|new| world.ask("POST", "/v1/me/password", &tokens.access, change(PASSWORD, new))),
    )
    .await;
    let made: Vec<bool> = answers.iter().map(|answer| answer.status == 200).collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    for (new, made) in both.into_iter().zip(made) {
        assert_eq!(world.try_login("acme", "ann@example.com", new).await.status == 200, made);
    }
    // The one that was made, and the login with it.
    assert_eq!(world.count("SELECT count(*) FROM token_families WHERE revoked_at IS NULL").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_and_its_address_is_free() {
    let world = World::new().await;
    let first = world.session("acme", "ann@example.com").await;
    let tokens = Tokens::of(&world.refresh(&first.refresh).await);
    let answer = world.ask("DELETE", "/v1/me", &tokens.access, json!({"password": "a wrong guess"})).await;
    assert_eq!(answer.refusal(), (401, "invalid_credentials".to_owned()));
    let answer = world.ask("DELETE", "/v1/me", &tokens.access, json!({"password": PASSWORD})).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(world.get("/v1/me", &tokens.access).await.refusal(), (401, "invalid_token".to_owned()));
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 401);
    for table in [
        "SELECT count(*) FROM users",
        "SELECT count(*) FROM token_families",
        "SELECT count(*) FROM refresh_tokens",
    ] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    let again = world.session("acme", "ann@example.com").await;
    assert_ne!(again.claims().sub, tokens.claims().sub);
    world.end().await;
}
