//! Authorization codes and what they yield (EP031, RFC 6749 §4.1.3; S09-S12, S30, S31, S34, S35).

use std::time::Duration;

use serde_json::json;

use super::super::world::{ISSUER, Tokens, World, slug};
use super::{ASK, CALLBACK, VERIFIER, basic, oauth_error, with};

const DEAD: (u16, &str) = (400, "invalid_grant");

fn is_dead(answer: &super::Answer) -> bool {
    let (status, error) = oauth_error(answer);
    (status, error.as_str()) == DEAD
}

/// EP031, spec §7
#[tokio::test]
async fn a_code_yields_tokens_for_what_was_granted() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &ASK).await;
    let answer = world.redeem(&code, &[]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let json = answer.json();
    assert_eq!(
        (&json["token_type"], &json["expires_in"], &json["scope"]),
        (&json!("Bearer"), &json!(900), &json!("openid profile"))
    );
    let tokens = Tokens::of(&answer);
    let claims = tokens.claims();
    assert_eq!(
        (claims.iss.as_str(), claims.client_id.as_str(), claims.tid.as_str()),
        (ISSUER, "app", "acme")
    );
    assert_eq!(
        (claims.aud, claims.scope.as_str(), claims.amr),
        (vec!["app".to_owned()], "openid profile", vec!["pwd".to_owned()])
    );
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    let refresh = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", &tokens.refresh)];
    let next = Tokens::of(&world.form("/oauth2/token", &[], &refresh).await);
    assert_ne!(next.refresh, tokens.refresh);
    assert_eq!(next.claims().sid, claims.sid);
    world.end().await;
}

/// S30: the second use is refused, and takes back what the first has yielded.
#[tokio::test]
async fn a_code_is_redeemed_once_and_its_second_use_revokes() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &ASK).await;
    let tokens = Tokens::of(&world.redeem(&code, &[]).await);
    assert!(is_dead(&world.redeem(&code, &[]).await));
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    let reuse = "SELECT count(*) FROM audit_events WHERE action = 'code.reuse'";
    assert_eq!(world.count(reuse).await, 1);
    assert!(is_dead(&world.redeem(&code, &[]).await));
    assert_eq!(world.count(reuse).await, 1, "there was nothing more to revoke");
    world.end().await;
}

/// S30: a hundred at the same moment
#[tokio::test]
async fn of_a_hundred_redemptions_one_succeeds() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &ASK).await;
    let tries = (0..100).map(|_| world.redeem(&code, &[]));
    let answers = futures::future::join_all(tries).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(is_dead));
    assert_eq!(
        world.count("SELECT count(*) FROM token_families WHERE grant_type = 'authorization_code'").await,
        1
    );
    world.end().await;
}

/// S31: a minute
#[tokio::test]
async fn a_code_dies_after_a_minute() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let (first, second) = (world.auth_code(&cookie, &ASK).await, world.auth_code(&cookie, &ASK).await);
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!(world.redeem(&first, &[]).await.status, 200);
    world.clock.advance(Duration::from_millis(1));
    assert!(is_dead(&world.redeem(&second, &[]).await));
    world.end().await;
}

/// S09-S12, S31: the redemption is the counterpart of the request, or the code is spent for nothing.
#[tokio::test]
async fn a_code_is_bound_to_its_request() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let other = "a".repeat(43);
    let cases: [&[(&str, &str)]; 7] = [
        &[("code_verifier", "")],
        &[("code_verifier", &other)],
        &[("code_verifier", &VERIFIER[..42])],
        &[("code_verifier", super::CHALLENGE)],
        &[("redirect_uri", "")],
        &[("redirect_uri", "https://app.example/cb/")],
        &[("redirect_uri", "https://evil.example/cb")],
    ];
    for wrong in cases {
        let code = world.auth_code(&cookie, &ASK).await;
        assert!(is_dead(&world.redeem(&code, wrong).await), "{wrong:?}");
        assert!(is_dead(&world.redeem(&code, &[]).await), "spent: {wrong:?}");
    }
    for malformed in ["", "x", "hjr_acme.x", "hjc_acme.AAAA"] {
        let answer = world.redeem(malformed, &[("tenant_id", "acme")]).await;
        assert_eq!(answer.status, 400, "{malformed}");
    }
    // A refresh token is no code, and a code is no refresh token (S36).
    let code = world.auth_code(&cookie, &ASK).await;
    let tokens = Tokens::of(&world.redeem(&code, &[]).await);
    assert!(is_dead(&world.redeem(&tokens.refresh, &[("tenant_id", "acme")]).await));
    let code = world.auth_code(&cookie, &ASK).await;
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", "app"),
        ("tenant_id", "acme"),
        ("refresh_token", &code),
    ];
    assert!(is_dead(&world.form("/oauth2/token", &[], &refresh).await));
    world.end().await;
}

/// S10: a verifier where the request had no challenge
#[tokio::test]
async fn a_verifier_that_nobody_asked_for_is_refused() {
    let world = World::with_apps().await;
    world.put_client("acme", "server", json!({"require_pkce": false})).await;
    let secret = world.secret("acme", "server").await;
    let cookie = world.seated("ann@example.com").await;
    let ask = with(&ASK, &[("client_id", "server"), ("code_challenge", ""), ("code_challenge_method", "")]);
    let authorization = basic("server", &secret);
    let redeem = async |more: &[(&str, &str)]| {
        let code = world.auth_code(&cookie, &ask).await;
        let params = [("grant_type", "authorization_code"), ("redirect_uri", CALLBACK), ("code", &code)];
        world.form("/oauth2/token", &[("authorization", &authorization)], &with(&params, more)).await
    };
    assert_eq!(redeem(&[]).await.status, 200);
    assert!(is_dead(&redeem(&[("code_verifier", VERIFIER)]).await));
    world.end().await;
}

/// S31, S33, S43: a code is its client's; another one can do nothing with it, not even spend it.
#[tokio::test]
async fn a_code_is_its_clients_alone() {
    let world = World::with_apps().await;
    world
        .put_client("acme", "other", json!({"redirect_uris": [CALLBACK], "scopes": ["openid", "profile"]}))
        .await;
    world.furnish_apps("local").await;
    let secret = world.secret("acme", "server").await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &with(&ASK, &[("client_id", "server")])).await;
    let as_server = [("client_id", "server")];
    assert_eq!(oauth_error(&world.redeem(&code, &as_server).await), (401, "invalid_client".to_owned()));
    assert!(is_dead(&world.redeem(&code, &[]).await));
    assert!(is_dead(&world.redeem(&code, &[("client_id", "other")]).await));
    // In another tenant it is nobody's, whatever is said about it.
    let elsewhere = world.redeem(&code, &[("tenant_id", "local")]).await;
    assert_eq!(oauth_error(&elsewhere), (400, "invalid_request".to_owned()));
    let renamed = code.replace("hjc_acme.", "hjc_local.");
    assert!(is_dead(&world.redeem(&renamed, &[]).await));
    let header = basic("server", &secret);
    let params = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let tokens = Tokens::of(&world.form("/oauth2/token", &[("authorization", &header)], &params).await);
    // What a client got for its proof it gets again for its proof only.
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)];
    for stranger in ["app", "other", "server"] {
        let answer = world.form("/oauth2/token", &[], &with(&refresh, &[("client_id", stranger)])).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{stranger}");
    }
    assert_eq!(world.form("/oauth2/token", &[("authorization", &header)], &refresh).await.status, 200);
    world.end().await;
}

/// S34, S35, S80: between the code and its redemption the policy may have changed.
#[tokio::test]
async fn a_code_is_worth_what_its_grant_is_worth_now() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let deaths: [(&str, &str); 3] = [
        ("UPDATE users SET status = 'disabled'", "UPDATE users SET status = 'active'"),
        ("UPDATE users SET status = 'locked'", "UPDATE users SET status = 'active'"),
        (
            "UPDATE browser_sessions SET revoked_at = now(), revoke_reason = 'logout'",
            "UPDATE browser_sessions SET revoked_at = NULL, revoke_reason = NULL",
        ),
    ];
    for (death, cure) in deaths {
        let code = world.auth_code(&cookie, &ASK).await;
        world.sql(death).await;
        assert!(is_dead(&world.redeem(&code, &[]).await), "{death}");
        world.sql(cure).await;
        assert!(is_dead(&world.redeem(&code, &[]).await), "and it is spent: {death}");
    }
    let patches = [
        json!({"providers": ["google"]}),
        json!({"grant_types": ["refresh_token"]}),
        json!({"enabled": false}),
    ];
    let cures = [json!({"providers": null}), json!({"grant_types": null}), json!({"enabled": true})];
    for (patch, cure) in patches.into_iter().zip(cures) {
        let code = world.auth_code(&cookie, &ASK).await;
        world.put_client("acme", "app", patch.clone()).await;
        assert!(matches!(world.redeem(&code, &[]).await.status.as_u16(), 400 | 401), "{patch}");
        world.put_client("acme", "app", cure).await;
        let again = world.browser("acme", "ann@example.com").await;
        assert!(world.authorize(&again, &ASK).await.header("location").unwrap().contains("code="));
    }
    let cookie = world.browser("acme", "ann@example.com").await;
    // A scope that the client has lost meanwhile is not granted (S24).
    let code = world.auth_code(&cookie, &ASK).await;
    world.put_client("acme", "app", json!({"scopes": ["openid"]})).await;
    assert_eq!(world.redeem(&code, &[]).await.json()["scope"], "openid");
    // A client that was deleted and made again is another one (spec §4).
    let code = world.auth_code(&cookie, &with(&ASK, &[("scope", "openid")])).await;
    world.delete_client("acme", "app").await;
    world.put_client("acme", "app", json!({"redirect_uris": [CALLBACK], "scopes": ["openid"]})).await;
    assert!(is_dead(&world.redeem(&code, &[]).await));
    world.end().await;
}

/// T47: a path tenant issues under its own name; S31: its codes are good in it alone.
#[tokio::test]
async fn a_path_tenant_issues_under_its_own_name() {
    let world = World::with_apps().await;
    world.put_tenant("acme", json!({"settings": {"issuerMode": "path"}})).await;
    let cookie = world.seated("ann@example.com").await;
    let issuer = format!("{ISSUER}/t/acme");
    let params = super::sent(&world.authorize(&cookie, &ASK).await);
    assert_eq!(super::value(&params, "iss"), Some(issuer.as_str()));
    let code = super::value(&params, "code").unwrap();
    let params = [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    let wrong = world.form("/t/local/oauth2/token", &[], &params).await;
    assert_eq!(wrong.status, 400);
    let tokens = Tokens::of(&world.form("/t/acme/oauth2/token", &[], &params).await);
    assert_eq!(tokens.claims().iss, issuer);
    let own = hellojohn_control::documents::KeySet::Tenant(slug("acme"));
    assert_eq!(super::super::world::part(&tokens.access, 0)["kid"], world.key(&own).kid.as_str());
    world.end().await;
}

/// The session of the browser ends: what goes with it ends too, what was granted for longer goes on (OpenID Connect Core §11).
#[tokio::test]
async fn offline_access_outlives_the_session() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    world
        .sql(
            "INSERT INTO consents (tenant, user_id, client_uuid, client_id, scopes, granted_at, updated_at) \
        SELECT 'acme', id, gen_random_uuid(), 'x', ARRAY['x'], now(), now() FROM users",
        )
        .await;
    let online = world.granted(&cookie).await;
    world.sql("UPDATE consents SET scopes = ARRAY['offline_access', 'openid', 'profile']").await;
    let code = world.auth_code(&cookie, &with(&ASK, &[("scope", "openid offline_access")])).await;
    let offline = Tokens::of(&world.redeem(&code, &[]).await);
    assert_eq!(world.leave(&cookie).await.status, 204);
    assert_eq!(world.refresh(&online.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &online.access).await.status, 401);
    assert_eq!(world.refresh(&offline.refresh).await.status, 200);
    world.end().await;
}
