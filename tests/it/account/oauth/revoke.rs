//! Taking tokens back (EP032, RFC 7009; S42).

use super::super::world::World;
use super::{basic, call, oauth_error};

const REVOKE: &str = "/oauth2/revoke";

/// RFC 7009 §2: in a form, in JSON, or on its own word.
#[tokio::test]
async fn a_client_takes_its_tokens_back_in_three_ways() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let first = world.granted(&cookie).await;
    let params = [("client_id", "app"), ("token", &*first.refresh), ("token_type_hint", "access_token")];
    let answer = world.form(REVOKE, &[], &params).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(world.refresh(&first.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &first.access).await.status, 401, "with its session");

    let second = world.granted(&cookie).await;
    let body =
        serde_json::json!({"token": second.access, "client_id": "app", "tenant_id": "acme"}).to_string();
    let mut request = call("POST", REVOKE, None, &body);
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    assert_eq!(world.send(request).await.status, 200);
    assert_eq!(world.get("/v1/me", &second.access).await.status, 401);
    assert_eq!(world.refresh(&second.refresh).await.status, 200, "an access token is taken back by itself");

    let third = world.granted(&cookie).await;
    assert_eq!(world.send(call("POST", REVOKE, Some(&third.access), "")).await.status, 200);
    assert_eq!(world.get("/v1/me", &third.access).await.status, 401);
    assert_eq!(world.count("SELECT count(*) FROM audit_events WHERE action = 'token.revoke'").await, 3);
    world.end().await;
}

/// S42: nobody takes back what is not theirs, and nobody learns whose it is.
#[tokio::test]
async fn what_is_not_the_clients_stays() {
    let world = World::with_apps().await;
    let header = basic("server", &world.secret("acme", "server").await);
    let cookie = world.seated("ann@example.com").await;
    let tokens = world.granted(&cookie).await;
    for token in [&*tokens.access, &tokens.refresh, "x", "a.b.c", "hjr_acme.x"] {
        let answer = world.form(REVOKE, &[("authorization", &header)], &[("token", token)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{token}");
    }
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 200);
    let stranger =
        world.form(REVOKE, &[("authorization", &basic("server", "x"))], &[("token", &tokens.access)]).await;
    assert_eq!(oauth_error(&stranger), (401, "invalid_client".to_owned()));
    let nothing = world.form(REVOKE, &[("authorization", &header)], &[]).await;
    assert_eq!(oauth_error(&nothing), (400, "invalid_request".to_owned()));
    world.end().await;
}
