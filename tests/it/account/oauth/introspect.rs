//! What a token is worth (EP034, RFC 7662; S40, S41).

use std::time::Duration;

use serde_json::{Value, json};

use super::super::world::{Choice, World};
use super::{ASK, Answer, basic, oauth_error, with};

const INTROSPECT: &str = "/oauth2/introspect";
const PASSWORD: &str = "a password of resource servers";

async fn ask(world: &World, header: &str, token: &str) -> Answer {
    let header = header.replace(' ', " ");
    world.form(INTROSPECT, &[("authorization", &header)], &[("token", token)]).await
}

fn inactive() -> Value {
    json!({"active": false})
}

/// RFC 7662 §2.2
#[tokio::test]
async fn a_client_sees_its_own_tokens() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &with(&ASK, &[("client_id", "server")])).await;
    let params = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", super::CALLBACK),
        ("code", &*code),
        ("code_verifier", super::VERIFIER),
    ];
    let tokens =
        super::Tokens::of(&world.form("/oauth2/token", &[("authorization", &header)], &params).await);
    let claims = tokens.claims();
    let access = ask(&world, &header, &tokens.access).await.json();
    assert_eq!(access["active"], true);
    for (member, expected) in [
        ("scope", json!("openid profile")),
        ("client_id", json!("server")),
        ("token_type", json!("Bearer")),
        ("exp", json!(claims.exp)),
        ("iat", json!(claims.iat)),
        ("nbf", json!(claims.nbf)),
        ("sub", json!(claims.sub)),
        ("aud", json!(["server"])),
        ("iss", json!(claims.iss)),
        ("jti", json!(claims.jti)),
        ("tid", json!("acme")),
        ("sid", json!(claims.sid)),
        ("acr", json!("loa:1")),
        ("amr", json!(["pwd"])),
    ] {
        assert_eq!(access[member], expected, "{member}");
    }
    let refresh = ask(&world, &header, &tokens.refresh).await.json();
    assert_eq!(
        (&refresh["active"], &refresh["client_id"], &refresh["sub"]),
        (&json!(true), &json!("server"), &json!(claims.sub))
    );
    assert!(refresh.get("token_type").is_none());
    world.end().await;
}

/// S41: what is not for whoever asks, or worth nothing, is inactive, and no error.
#[tokio::test]
async fn every_other_token_is_inactive() {
    let world = World::with_apps().await;
    world.furnish_apps("local").await;
    let header = basic("server", &world.secret("acme", "server").await);
    let foreign = basic("server", &world.secret("local", "server").await);
    let cookie = world.seated("ann@example.com").await;
    let tokens = world.granted(&cookie).await;
    for token in [
        &*tokens.access,
        &tokens.refresh,
        "x",
        "a.b.c",
        "hjr_acme.x",
        "hjr_nowhere.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        for (header, tenant) in [(&header, "acme"), (&foreign, "local")] {
            let params = [("token", token), ("tenant_id", tenant)];
            let answer = world.form(INTROSPECT, &[("authorization", header)], &params).await;
            assert_eq!((answer.status.as_u16(), answer.json()), (200, inactive()), "{token}");
        }
    }
    world.end().await;
}

/// Who asks must prove it.
#[tokio::test]
async fn a_stranger_is_told_nothing() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let tokens = world.granted(&cookie).await;
    let none = world.form(INTROSPECT, &[], &[("token", &tokens.access), ("client_id", "app")]).await;
    assert_eq!(oauth_error(&none), (401, "invalid_client".to_owned()), "a public client proves nothing");
    for header in [basic("server", "wrong"), basic("gate", PASSWORD), format!("Bearer {}", tokens.access)] {
        assert_eq!(
            oauth_error(&ask(&world, &header, &tokens.access).await),
            (401, "invalid_client".to_owned())
        );
    }
    world.end().await;
}

/// `INTROSPECT_BASIC_USER`, S40: every tenant's tokens, as they are worth now.
#[tokio::test]
async fn the_operators_resource_server_sees_what_every_token_is_worth() {
    let env = vec![
        ("INTROSPECT_BASIC_USER", "gate".to_owned()),
        ("INTROSPECT_BASIC_PASS", PASSWORD.replace(' ', "-")),
    ];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.furnish_apps("acme").await;
    let header = basic("gate", &PASSWORD.replace(' ', "-"));
    let active = async |token: &str| ask(&world, &header, token).await.json()["active"].as_bool().unwrap();
    let cookie = world.seated("ann@example.com").await;
    let tokens = world.granted(&cookie).await;
    assert!(active(&tokens.access).await && active(&tokens.refresh).await);
    let used = world.refresh(&tokens.refresh).await;
    assert!(!active(&tokens.refresh).await, "used");
    let next = super::Tokens::of(&used);
    assert!(active(&next.refresh).await);
    let below = world
        .form("/t/local/oauth2/introspect", &[("authorization", &header)], &[("token", &next.access)])
        .await;
    assert_eq!(below.json(), inactive(), "below another tenant");
    world.sql("UPDATE users SET status = 'disabled'").await;
    assert!(!active(&next.access).await && !active(&next.refresh).await);
    world.sql("UPDATE users SET status = 'active'").await;
    assert_eq!(
        world.send(super::call("POST", "/v1/auth/logout-all", Some(&next.access), "")).await.status,
        204
    );
    assert!(!active(&next.access).await && !active(&next.refresh).await);
    world.end().await;
}

/// S40: a client's own token, and what takes it away
#[tokio::test]
async fn a_token_of_a_client_dies_with_it() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let own = async || {
        let answer = world
            .form("/oauth2/token", &[("authorization", &header)], &[("grant_type", "client_credentials")])
            .await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    };
    let token = own().await;
    assert_eq!(ask(&world, &header, &token).await.json()["active"], true);
    let revoke = world.form("/oauth2/revoke", &[("authorization", &header)], &[("token", &token)]).await;
    assert_eq!(revoke.status, 200);
    assert_eq!(ask(&world, &header, &token).await.json(), inactive());
    let token = own().await;
    world.clock.advance(Duration::from_secs(900));
    assert_eq!(ask(&world, &header, &token).await.json(), inactive(), "expired");
    let token = own().await;
    world.clock.advance(Duration::from_secs(1));
    world.delete_client("acme", "server").await;
    world.furnish_apps("acme").await;
    let header = basic("server", &world.secret("acme", "server").await);
    assert_eq!(ask(&world, &header, &token).await.json(), inactive(), "another client of that name");
    world.end().await;
}
