//! What administrators do to an account reaches the halves of logins and trusted devices, too (EP129, EP130; S34, S69, S80).

use serde_json::{Value, json};

use super::{PASSWORD, Tokens, World, refused};

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
