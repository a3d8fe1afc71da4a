//! What administrators do to an account reaches the halves of logins and trusted devices, too (EP129, EP130; S34, S69, S80).

use serde_json::{Value, json};

use super::{PASSWORD, Tokens, World, refused};
use crate::account::import_cli::{ran_with, serve};

#[tokio::test]
async fn what_an_administrator_ends_does_not_come_back_by_a_half_login_or_a_device() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let id = ann.tokens.claims().sub;
    let path = |verb: &str| format!("/v1/admin/users/{id}{verb}?tenant_id=acme");
    let password = json!({"password": PASSWORD});
    let steps: [&[(&str, &str, &Value)]; 3] = [
        &[("POST", "/disable", &Value::Null), ("POST", "/enable", &Value::Null)],
        &[("DELETE", "/sessions", &Value::Null)],
        // The same password: another hash of it.
        &[("PATCH", "", &password)],
    ];
    for step in steps {
        let (_, device) = world.remembered(&ann).await;
        let half = world.half(&ann).await;
        assert!(world.is_trusted(&ann, &device).await);
        for (method, verb, body) in step {
            let answer = world.ask(method, &path(verb), &admin, (*body).clone()).await;
            assert_eq!(answer.status, 200, "{method} {verb}: {}", answer.text());
        }
        let code = world.next_code(&ann.secret);
        assert_eq!(world.second(&half, &code).await.refusal(), refused("invalid_mfa_token"), "{step:?}");
        assert!(!world.is_trusted(&ann, &device).await, "{step:?}");
        // The factor itself stays.
        Tokens::of(&world.second(&world.half(&ann).await, &code).await);
    }
    world.end().await;
}

/// EP130, S34, S69: with the factor goes everything that was begun with it or under it, and the password is enough again.
#[tokio::test]
async fn a_second_factor_that_an_administrator_removes_takes_everything_with_it() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let bob = world.holder("acme", "bob@example.com").await;
    let (tokens, device) = world.remembered(&ann).await;
    let both = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    assert_eq!(world.enroll(&tokens.access, &both).await.status, 200, "a secret that waits");
    let half = world.half(&ann).await;
    let path = format!("/v1/admin/users/{}/mfa?tenant_id=acme", tokens.claims().sub);
    for _ in 0..2 {
        let answer = world.ask("DELETE", &path, &admin, Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{}", answer.text());
    }
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    let code = world.next_code(&ann.secret);
    assert_eq!(world.second(&half, &code).await.refusal(), refused("invalid_mfa_token"));
    let fresh = world.login("acme", "ann@example.com").await;
    let status = world.status(&fresh.access).await;
    let none = (&json!(false), &json!(0), &json!(0));
    let counts = (&status["totp_enabled"], &status["recovery_codes_left"], &status["trusted_devices"]);
    assert_eq!(counts, none, "{status}");
    for table in [
        "SELECT count(*) FROM totp_factors",
        "SELECT count(*) FROM recovery_codes WHERE user_id NOT IN (SELECT user_id FROM totp_factors)",
        "SELECT count(*) FROM totp_enrolments",
        "SELECT count(*) FROM mfa_tokens",
        "SELECT count(*) FROM trusted_devices",
    ] {
        let others = i64::from(table.ends_with("totp_factors"));
        assert_eq!(world.count(table).await, others, "{table}");
    }
    // Enrolled anew, the old device is asked like any.
    let answer = world.enroll(&fresh.access, &json!({})).await;
    let secret = super::text_of(&answer.json(), "secret_base32");
    assert_eq!(world.verify(&fresh.access, &world.code(&secret)).await.status, 200);
    assert!(!world.is_trusted(&ann, &device).await);
    assert_eq!(world.get("/v1/me", &bob.tokens.access).await.status, 200, "nobody else's");
    world.end().await;
}

/// EP130: the same from the command line, told in words and as JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_removed_from_the_command_line() {
    let world = World::new().await;
    let bearer = world.admin().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let (url, _) = serve(world.router.clone(), &[]).await;
    let directory = tempfile::tempdir().unwrap();
    let env = [("HELLOJOHN_BEARER", bearer.as_str())];
    let id = ann.tokens.claims().sub;
    let command = format!("hellojohn users reset-mfa {id} --tenant acme");
    let done = ran_with(&url, directory.path(), &command, &env).await;
    assert_eq!(
        (done.code, done.out, done.err),
        (0, format!("removed the second factor of {id}\n"), String::new())
    );
    let told = ran_with(&url, directory.path(), &format!("{command} --output json"), &env).await;
    assert_eq!(told.json(), json!({"user_id": id, "mfa": "removed"}));
    world.login("acme", "ann@example.com").await;
    for (words, code, why) in [
        (format!("hellojohn users reset-mfa {id} --tenant local"), 1, "user_not_found"),
        ("hellojohn users reset-mfa ann@example.com --tenant acme".to_owned(), 2, "USER_ID"),
    ] {
        let refused = ran_with(&url, directory.path(), &words, &env).await;
        assert_eq!(refused.code, code, "{}", refused.err);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    world.end().await;
}
