//! Who a person is (EP033, OpenID Connect Core §5.3, RFC 6750).

use serde_json::json;

use super::super::world::{Tokens, World, call};
use super::{ASK, with};

/// OpenID Connect Core §5.4: what the scopes tell, and `sub` always.
#[tokio::test]
async fn the_claims_are_those_of_the_scopes() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    world.sql("UPDATE users SET given_name = 'Ann', family_name = 'Lee', custom = '{\"plan\": \"gold\", \"sub\": \"evil\"}'").await;
    let granted = async |scope: &str| {
        let code = world.auth_code(&cookie, &with(&ASK, &[("scope", scope)])).await;
        let tokens = Tokens::of(&world.redeem(&code, &[]).await);
        let answer = world.get("/userinfo", &tokens.access).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut json = answer.json();
        assert_eq!(json["sub"], tokens.claims().sub);
        json.as_object_mut().unwrap().remove("sub");
        json
    };
    assert_eq!(granted("openid").await, json!({}));
    assert_eq!(granted("openid email").await, json!({"email": "ann@example.com", "email_verified": false}));
    let profile = granted("openid profile").await;
    assert_eq!(
        (&profile["name"], &profile["given_name"], &profile["family_name"]),
        (&json!("Ann Lee"), &json!("Ann"), &json!("Lee"))
    );
    assert!(profile["updated_at"].is_i64() && profile.get("picture").is_none());
    // A scope of the tenant's own tells attributes of the tenant's own; who a person is they do not say.
    let input =
        serde_json::from_value(json!([{"name": "plan", "claims": ["plan", "sub", "nothing"]}])).unwrap();
    world
        .state
        .control
        .put_scopes(
            &super::context(),
            &super::slug("acme"),
            input,
            hellojohn_control::ScopesMode::Merge,
            &world.state.stores,
        )
        .await
        .unwrap();
    world.put_client("acme", "app", json!({"scopes": ["openid", "plan"]})).await;
    world.sql("UPDATE consents SET scopes = ARRAY['openid', 'plan']").await;
    assert_eq!(granted("openid plan").await, json!({"plan": "gold"}));
    world.end().await;
}

/// RFC 6750 §2, §3: the token in the header or in a form, and what is said of one that is not good.
#[tokio::test]
async fn a_token_is_asked_for_in_the_words_of_the_rfc() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let tokens = world.granted(&cookie).await;
    assert_eq!(world.send(call("POST", "/userinfo", Some(&tokens.access), "")).await.status, 200);
    assert_eq!(world.form("/userinfo", &[], &[("access_token", &tokens.access)]).await.status, 200);
    assert_eq!(world.get("/t/acme/userinfo", &tokens.access).await.status, 200);
    let none = world.send(call("GET", "/userinfo", None, "")).await;
    assert_eq!(
        (none.status.as_u16(), none.header("www-authenticate")),
        (401, Some("Bearer realm=\"hellojohn\""))
    );
    let query = world.send(call("GET", &format!("/userinfo?access_token={}", tokens.access), None, "")).await;
    assert_eq!(query.status, 401, "never in a query");
    for (path, token) in
        [("/userinfo", "x"), ("/userinfo", &*tokens.refresh), ("/t/local/userinfo", &tokens.access)]
    {
        let bad = world.get(path, token).await;
        let challenge = "Bearer realm=\"hellojohn\", error=\"invalid_token\"";
        assert_eq!((bad.status.as_u16(), bad.header("www-authenticate")), (401, Some(challenge)), "{path}");
        assert_eq!(bad.json()["error"], "invalid_token");
    }
    let header = format!("Bearer {}", tokens.access);
    let twice =
        world.form("/userinfo", &[("authorization", &header)], &[("access_token", &tokens.access)]).await;
    assert_eq!((twice.status.as_u16(), twice.json()["error"].as_str()), (400, Some("invalid_request")));
    let code = world.auth_code(&cookie, &with(&ASK, &[("scope", "profile")])).await;
    let plain = Tokens::of(&world.redeem(&code, &[]).await);
    let answer = world.get("/userinfo", &plain.access).await;
    assert_eq!(answer.status, 403);
    let challenge = answer.header("www-authenticate").unwrap();
    assert_eq!(challenge, "Bearer realm=\"hellojohn\", error=\"insufficient_scope\", scope=\"openid\"");
    world.end().await;
}
