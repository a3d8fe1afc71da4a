//! Where an authorization request may be answered (S01, S04, S06, S07; spec §13.7).

use serde_json::json;

use super::super::world::World;
use super::{ASK, CALLBACK, sent, value, with};

/// S01, S04: character by character; what is not the client's is answered on a page of ours.
#[tokio::test]
async fn an_address_that_is_not_registered_gets_no_answer() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    for uri in [
        "https://app.example/CB",
        "https://APP.example/cb",
        "https://app.example/cb/",
        "https://app.example/cb?x=1",
        "https://app.example/cb#f",
        "https://app.example/cb%20",
        "https://app.example/x/../cb",
        "https://app.example/%63b",
        "https://app.example:443/cb",
        "https://sub.app.example/cb",
        "https://app.example.evil.example/cb",
        "https://user@app.example/cb",
        "https://app.example\\@evil.example/cb",
        "https://evil.example\\.app.example/cb",
        "http://app.example/cb",
        "//app.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.example/cb ",
        " https://app.example/cb",
        "https://app.example/cb\u{0}",
        "https://app.example/cb\r\nx: y",
    ] {
        for more in [&[][..], &[("response_type", "token")], &[("scope", "nope")], &[("prompt", "none")]] {
            let answer = world.authorize(&cookie, &with(&with(&ASK, more), &[("redirect_uri", uri)])).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (400, None), "{uri}");
            assert!(answer.header("content-type").unwrap().starts_with("text/html"));
            assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        }
    }
    world.end().await;
}

/// S06, S07
#[tokio::test]
async fn without_an_address_only_the_only_one_is_taken() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let ask = with(&ASK, &[("redirect_uri", "")]);
    let params = sent(&world.authorize(&cookie, &ask).await);
    // Then the redemption need not name it either (RFC 6749 §4.1.3).
    let code = value(&params, "code").unwrap();
    assert_eq!(world.redeem(code, &[("redirect_uri", "")]).await.status, 200);
    world.put_client("acme", "app", json!({"redirect_uris": [CALLBACK, "https://app.example/other"]})).await;
    assert_eq!(world.authorize(&cookie, &ask).await.status, 400);
    world.put_client("acme", "app", json!({"redirect_uris": []})).await;
    assert_eq!(world.authorize(&cookie, &ask).await.status, 400);
    assert_eq!(world.authorize(&cookie, &ASK).await.status, 400, "and none is learned from a request");
    world.end().await;
}

/// S04
#[tokio::test]
async fn an_unknown_or_disabled_client_gets_no_answer() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    for more in [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("client_id", "../x"),
        ("tenant_id", "nowhere"),
        ("tenant_id", ".."),
    ] {
        let answer = world.authorize(&cookie, &with(&ASK, &[more])).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{more:?}");
        assert_eq!(answer.header("location"), None);
    }
    world.put_client("acme", "app", json!({"enabled": false})).await;
    let answer = world.authorize(&cookie, &ASK).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (403, None));
    world.put_client("acme", "app", json!({"enabled": true})).await;
    world.put_tenant("acme", json!({"status": "suspended"})).await;
    let answer = world.authorize(&cookie, &ASK).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (403, None));
    world.end().await;
}

/// Spec §13.7: the tenant is that of the path or of the parameter, else the only one that has such a client.
#[tokio::test]
async fn the_tenant_is_named_or_the_only_one() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let ask = with(&ASK, &[("tenant_id", "")]);
    assert!(value(&sent(&world.authorize(&cookie, &ask).await), "code").is_some());
    world.furnish_apps("local").await;
    assert_eq!(world.authorize(&cookie, &ask).await.status, 400);
    let below = format!("/t/acme/oauth2/authorize?{}", super::encoded(&ask));
    assert!(value(&sent(&world.follow(&cookie, &below).await), "code").is_some());
    let both = format!("/t/local/oauth2/authorize?{}", super::encoded(&ASK));
    assert_eq!(world.follow(&cookie, &both).await.status, 400, "two tenants are named");
    let answer = world.follow("", &below).await;
    let location = answer.header("location").unwrap();
    assert!(
        location.starts_with("/t/acme/login?")
            && location.contains("return_to=%2Ft%2Facme%2Foauth2%2Fauthorize")
    );
    world.end().await;
}

/// S17: no script of another page reads an answer of this endpoint.
#[tokio::test]
async fn the_endpoint_is_closed_to_scripts() {
    let world = World::with_apps().await;
    world.put_client("acme", "app", json!({"allowed_origins": ["https://app.example"]})).await;
    let mut request =
        super::super::world::call("GET", &format!("/oauth2/authorize?{}", super::encoded(&ASK)), None, "");
    request.headers_mut().insert("origin", "https://app.example".parse().unwrap());
    let answer = world.send(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    world.end().await;
}
