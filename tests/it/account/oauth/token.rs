//! The token endpoint: clients, grants, forms (EP031, RFC 6749 §2.3, §4.4, §5, §6; S13, S24, S43).

use std::time::Duration;

use serde_json::json;

use super::super::world::{Tokens, World, payload};
use super::{ASK, basic, oauth_error, with};

const TOKEN: &str = "/oauth2/token";
const OWN: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// RFC 6749 §4.4, RFC 9068 §2.2: the token speaks for the client and for nobody else.
#[tokio::test]
async fn a_client_gets_a_token_for_itself() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let answer = world.form(TOKEN, &[("authorization", &header)], &with(&OWN, &[("scope", "email")])).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert!(json.get("refresh_token").is_none());
    let claims = payload(json["access_token"].as_str().unwrap());
    for (claim, expected) in
        [("sub", "server"), ("client_id", "server"), ("aud", "server"), ("tid", "acme"), ("scope", "email")]
    {
        assert_eq!(claims[claim], expected);
    }
    for absent in ["sid", "amr", "acr", "roles", "custom"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    // It opens nothing that is a person's (S52).
    let token = json["access_token"].as_str().unwrap();
    assert_eq!(world.get("/v1/me", token).await.status, 401);
    assert_eq!(world.get("/userinfo", token).await.status, 401);
    assert_eq!(world.get("/v1/admin/ping", token).await.status, 401);
    let all = world.form(TOKEN, &[("authorization", &header)], &OWN).await.json();
    assert_eq!(all["scope"], "profile email", "all that it is registered for, and nothing of people");
    world.end().await;
}

/// S24, S13
#[tokio::test]
async fn a_client_gets_no_more_than_it_may() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let ask = async |more: &[(&str, &str)]| {
        oauth_error(&world.form(TOKEN, &[("authorization", &header)], &with(&OWN, more)).await)
    };
    for scope in ["openid", "offline_access", "email nope", "EMAIL"] {
        assert_eq!(ask(&[("scope", scope)]).await, (400, "invalid_scope".to_owned()), "{scope}");
    }
    assert_eq!(ask(&[("resource", "https://api.example")]).await, (400, "invalid_target".to_owned()));
    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x"] {
        assert_eq!(
            ask(&[("grant_type", grant)]).await,
            (400, "unsupported_grant_type".to_owned()),
            "{grant}"
        );
    }
    assert_eq!(ask(&[("grant_type", "")]).await, (400, "invalid_request".to_owned()));
    world.put_client("acme", "server", json!({"grant_types": ["authorization_code"]})).await;
    assert_eq!(ask(&[]).await, (400, "unauthorized_client".to_owned()));
    let public = world.form(TOKEN, &[], &with(&OWN, &[("client_id", "app")])).await;
    assert_eq!(oauth_error(&public), (400, "unauthorized_client".to_owned()));
    world.end().await;
}

/// S43: one way for each client, the one that it is registered for; every failure has one answer.
#[tokio::test]
async fn a_client_proves_itself_in_its_own_way() {
    let world = World::with_apps().await;
    let secret = world.secret("acme", "server").await;
    let post: &[(&str, &str)] = &[("client_id", "server"), ("client_secret", &secret)];
    let (right, wrong) = (basic("server", &secret), basic("server", "hjs_wrong"));
    let refused = |answer: &super::Answer| {
        assert_eq!(oauth_error(answer), (401, "invalid_client".to_owned()), "{}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"hellojohn\", charset=\"UTF-8\""));
    };
    assert_eq!(world.form(TOKEN, &[("authorization", &right)], &OWN).await.status, 200);
    refused(&world.form(TOKEN, &[("authorization", &wrong)], &OWN).await);
    refused(&world.form(TOKEN, &[("authorization", &basic("nobody", &secret))], &OWN).await);
    refused(&world.form(TOKEN, &[("authorization", &basic("../x", &secret))], &OWN).await);
    refused(&world.form(TOKEN, &[("authorization", &right)], &with(&OWN, post)).await);
    refused(&world.form(TOKEN, &[], &OWN).await);
    refused(&world.form(TOKEN, &[], &with(&OWN, &[("client_id", "server")])).await);
    // The right secret in the wrong place: who has it is told where it belongs.
    let misplaced = world.form(TOKEN, &[], &with(&OWN, post)).await;
    refused(&misplaced);
    assert!(misplaced.text().contains("client_secret_basic"), "{}", misplaced.text());
    world.put_client("acme", "server", json!({"token_endpoint_auth_method": "client_secret_post"})).await;
    assert_eq!(world.form(TOKEN, &[], &with(&OWN, post)).await.status, 200);
    refused(&world.form(TOKEN, &[("authorization", &right)], &OWN).await);
    // A public client has no secret that could be right.
    refused(&world.form(TOKEN, &[("authorization", &basic("app", &secret))], &OWN).await);
    world.end().await;
}

/// Issue 5: rotation with overlap
#[tokio::test]
async fn an_old_secret_works_until_its_overlap_ends() {
    let world = World::with_apps().await;
    let old = basic("server", &world.secret("acme", "server").await);
    let client = hellojohn_control::ClientId::parse("server").unwrap();
    let control = &world.state.control;
    let rotated = control.rotate_client_secret(&super::context(), &super::slug("acme"), &client, 60).await;
    let new = basic("server", rotated.unwrap().secret.unwrap().expose());
    for header in [&old, &new] {
        assert_eq!(world.form(TOKEN, &[("authorization", header)], &OWN).await.status, 200);
    }
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.form(TOKEN, &[("authorization", &old)], &OWN).await.status, 401);
    assert_eq!(world.form(TOKEN, &[("authorization", &new)], &OWN).await.status, 200);
    world.end().await;
}

/// A disabled client and a suspended tenant have no clients.
#[tokio::test]
async fn a_client_that_is_switched_off_is_none() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let ask = async || oauth_error(&world.form(TOKEN, &[("authorization", &header)], &OWN).await);
    let refused = (401, "invalid_client".to_owned());
    world.put_client("acme", "server", json!({"enabled": false})).await;
    assert_eq!(ask().await, refused);
    world.put_client("acme", "server", json!({"enabled": true})).await;
    world.put_tenant("acme", json!({"status": "suspended"})).await;
    assert_eq!(ask().await, refused);
    world.end().await;
}

/// Hard promise 3: no database, and tokens for clients all the same.
#[tokio::test]
async fn a_client_needs_no_database() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let nowhere = hellojohn::store::Pools::new(hellojohn::store::PoolSettings::default(), None);
    let router = world.rebuilt(nowhere, &super::super::world::Choice::default());
    let mut request = super::call("POST", TOKEN, None, "grant_type=client_credentials");
    request.headers_mut().insert("authorization", header.parse().unwrap());
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let answer = super::super::answer::send(&router, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.end().await;
}

/// RFC 6749 §3.2, S05, S115: a form, with each parameter once.
#[tokio::test]
async fn only_a_form_is_taken() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let send = async |kind: &str, body: &str| {
        let mut request = super::call("POST", TOKEN, None, body);
        request.headers_mut().insert("authorization", header.parse().unwrap());
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        world.send(request).await
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(
        send("application/x-www-form-urlencoded; charset=UTF-8", "grant_type=client_credentials")
            .await
            .status,
        200
    );
    assert_eq!(oauth_error(&send("application/json", r#"{"grant_type":"client_credentials"}"#).await).0, 415);
    assert_eq!(oauth_error(&send("text/plain", "grant_type=client_credentials").await).0, 415);
    let twice = send(form, "grant_type=client_credentials&grant_type=client_credentials").await;
    assert_eq!(oauth_error(&twice), (400, "invalid_request".to_owned()));
    let many = (0..65).map(|index| format!("p{index}=x")).collect::<Vec<_>>().join("&");
    assert_eq!(oauth_error(&send(form, &many).await), (400, "invalid_request".to_owned()));
    let mut request = super::call("GET", "/oauth2/token?grant_type=client_credentials", None, "");
    request.headers_mut().insert("authorization", header.parse().unwrap());
    assert_eq!(world.send(request).await.status, 405, "and never in a query");
    world.end().await;
}

/// S24, RFC 6749 §6: less than was granted, never more, and the refresh token keeps all of it.
#[tokio::test]
async fn a_refresh_may_ask_for_less() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let tokens = world.granted(&cookie).await;
    let refresh = async |token: &str, more: &[(&str, &str)]| {
        let params = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)];
        world.form(TOKEN, &[], &with(&params, more)).await
    };
    let more = refresh(&tokens.refresh, &[("scope", "openid profile email")]).await;
    assert_eq!(oauth_error(&more), (400, "invalid_scope".to_owned()));
    let answer = refresh(&tokens.refresh, &[("scope", "profile")]).await;
    assert_eq!(answer.json()["scope"], "profile", "the refused request has used nothing up");
    let next = Tokens::of(&answer);
    assert_eq!(next.claims().scope, "profile");
    assert_eq!(refresh(&next.refresh, &[]).await.json()["scope"], "openid profile");
    world.end().await;
}

/// S32, spec §13.11: at this endpoint the error is `invalid_grant`.
#[tokio::test]
async fn a_refresh_token_that_is_used_again_is_an_invalid_grant() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let first = world.granted(&cookie).await;
    let refresh = async |token: &str| {
        let params = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)];
        world.form(TOKEN, &[], &params).await
    };
    let second = Tokens::of(&refresh(&first.refresh).await);
    let third = Tokens::of(&refresh(&second.refresh).await);
    assert_eq!(oauth_error(&refresh(&first.refresh).await), (400, "invalid_grant".to_owned()));
    assert_eq!(
        oauth_error(&refresh(&third.refresh).await),
        (400, "invalid_grant".to_owned()),
        "its family is revoked"
    );
    world.end().await;
}

/// Spec §5: errors have exactly the members of RFC 6749 §5.2, in the characters that it allows.
#[tokio::test]
async fn errors_have_the_form_of_the_rfc() {
    let world = World::with_apps().await;
    let answer = world
        .form(TOKEN, &[], &[("grant_type", "x"), ("client_id", "app"), ("x\"é\\", "1"), ("x\"é\\", "2")])
        .await;
    let json = answer.json();
    let members: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(members, ["error", "error_description"]);
    let text = json["error_description"].as_str().unwrap();
    assert!(text.chars().all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\'), "{text}");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let _ = ASK;
    world.end().await;
}
