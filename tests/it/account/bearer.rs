//! Which bearer tokens are believed, at GET /v1/me (EP007; S36-S40, S80, S103).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn::crypto::jwt::AccessClaims;
use hellojohn::crypto::secret::SecretString;
use hellojohn::domain::rng::OsRng;
use hellojohn::service::break_glass::{BreakGlass, mint_break_glass};
use hellojohn::store::{Dsn, PoolSettings, Pools};
use hellojohn_control::documents::KeySet;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::world::{Choice, ISSUER, Tokens, World, call, part, payload, send, text_of};

fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// EP007
#[tokio::test]
async fn me_shows_the_account_and_what_the_token_says() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let answer = world.get("/v1/me", &tokens.access).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (answer.header("cache-control"), answer.header("pragma")),
        (Some("no-store"), Some("no-cache"))
    );
    let (json, claims) = (answer.json(), tokens.claims());
    assert_eq!(json["user"]["email"], "ann@example.com");
    assert_eq!(json["user"]["last_login_at"], "2027-01-15T08:00:00.000Z");
    assert_eq!(
        json["token"],
        json!({
            "sub": claims.sub, "tid": "acme", "client_id": "web", "sid": claims.sid, "jti": claims.jti,
            "scope": "openid profile email", "expires_at": "2027-01-15T08:15:00.000Z",
        })
    );
    let answer = world.send(call("GET", "/v1/me", None, "")).await;
    assert_eq!(answer.refusal(), (401, "invalid_token".to_owned()));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"hellojohn\""));
    world.end().await;
}

/// S36, S37, S39: one answer for all that is no live access token of ours.
#[tokio::test]
async fn forged_foreign_and_expired_tokens_are_refused() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let claims = tokens.claims();
    let good = payload(&tokens.access);
    let (header, signature) = (part(&tokens.access, 0), tokens.access.rsplit_once('.').unwrap().1.to_owned());
    let with = |member: &str, value: Value| {
        let mut changed = good.clone();
        changed[member] = value;
        changed
    };
    let signed = |claims: AccessClaims| world.forge(&KeySet::Global, &claims);

    // HS256 with the public key as secret.
    let key = world.key(&KeySet::Global);
    let public = serde_json::to_value(&key.public_jwk).unwrap();
    let x = URL_SAFE_NO_PAD.decode(text_of(&public, "x")).unwrap();
    let mut hs = Header::new(Algorithm::HS256);
    (hs.kid, hs.typ) = (Some(key.kid.to_string()), Some("at+jwt".to_owned()));
    let hs256 = jsonwebtoken::encode(&hs, &good, &EncodingKey::from_secret(&x)).unwrap();

    let none = json!({"typ": "at+jwt", "alg": "none", "kid": key.kid});
    let embedded = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": key.kid, "jwk": public});
    let break_glass = BreakGlass {
        issuer: ISSUER,
        subject: "root",
        life: Duration::from_secs(60),
        now: hellojohn_control::Timestamp::from_secs(1_800_000_000),
    };
    let break_glass: SecretString =
        mint_break_glass(world.signing.clone(), &key, &OsRng, &break_glass).unwrap();
    let cases = [
        ("alg none, no signature", format!("{}.{}.", encoded(&none), encoded(&good))),
        ("alg none, old signature", format!("{}.{}.{signature}", encoded(&none), encoded(&good))),
        ("HS256 with the public key", hs256),
        ("embedded key", format!("{}.{}.{signature}", encoded(&embedded), encoded(&good))),
        ("changed claims", format!("{}.{}.{signature}", encoded(&header), encoded(&with("sub", json!("x"))))),
        ("other tenant", signed(AccessClaims { tid: "local".to_owned(), ..claims.clone() })),
        ("unknown tenant", signed(AccessClaims { tid: "nobody".to_owned(), ..claims.clone() })),
        ("no tenant", signed(AccessClaims { tid: "../x".to_owned(), ..claims.clone() })),
        ("other issuer", signed(AccessClaims { iss: "https://evil.example".to_owned(), ..claims.clone() })),
        ("path issuer", signed(AccessClaims { iss: format!("{ISSUER}/t/acme"), ..claims.clone() })),
        ("other audience", signed(AccessClaims { aud: vec!["api".to_owned()], ..claims.clone() })),
        (
            "other user's session",
            signed(AccessClaims { sub: uuid::Uuid::nil().to_string(), ..claims.clone() }),
        ),
        ("no session", signed(AccessClaims { sid: None, ..claims.clone() })),
        (
            "unknown session",
            signed(AccessClaims { sid: Some(uuid::Uuid::nil().to_string()), ..claims.clone() }),
        ),
        ("a client's own token", signed(AccessClaims { sub: "web".to_owned(), sid: None, ..claims.clone() })),
        (
            "unknown client",
            signed(AccessClaims { client_id: "x".to_owned(), aud: vec!["x".to_owned()], ..claims.clone() }),
        ),
        ("not yet valid", signed(AccessClaims { nbf: claims.nbf + 61, ..claims.clone() })),
        ("expired", signed(AccessClaims { exp: claims.iat, ..claims.clone() })),
        ("break-glass", break_glass.expose().to_owned()),
        ("refresh token", tokens.refresh.clone()),
        ("nonsense", "a.b.c".to_owned()),
    ];
    let mut answers = Vec::new();
    for (name, token) in &cases {
        let answer = world.get("/v1/me", token).await;
        assert_eq!(answer.refusal(), (401, "invalid_token".to_owned()), "{name}");
        let challenge = "Bearer realm=\"hellojohn\", error=\"invalid_token\"";
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{name}");
        answers.push(answer.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // The same machinery lets the unchanged claims through.
    assert_eq!(world.get("/v1/me", &signed(claims.clone())).await.status, 200);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    world.clock.advance(Duration::from_secs(900));
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401, "expired");
    world.end().await;
}

/// S80, spec §13.12: at our own routes a token dies with its tenant, its client and its account.
#[tokio::test]
async fn an_access_token_dies_with_what_it_depends_on() {
    let world = World::new().await;
    let tokens = world.session("acme", "bea@example.com").await;
    world.put_tenant("acme", json!({"status": "suspended"})).await;
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    world.put_tenant("acme", json!({"status": "active"})).await;
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401, "the session has ended");
    let tokens = world.session("acme", "cyd@example.com").await;
    world.put_client("acme", "web", json!({"enabled": false})).await;
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    world.put_client("acme", "web", json!({"enabled": true})).await;
    let tokens = world.session("acme", "ann@example.com").await;
    let status = async || world.get("/v1/me", &tokens.access).await.status.as_u16();
    world.sql("UPDATE users SET status = 'disabled'").await;
    assert_eq!(status().await, 401);
    world.sql("UPDATE users SET status = 'active'").await;
    assert_eq!(status().await, 200);
    world.sql("DELETE FROM users").await;
    assert_eq!(status().await, 401);
    world.end().await;
}

/// S40: a look-up that fails refuses, and says that it is not the token's fault.
#[tokio::test]
async fn without_its_database_no_token_is_believed() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let dead = Dsn::parse("postgres://app:hunter2@127.0.0.1:1/app?sslmode=disable").unwrap();
    for pools in [
        Pools::new(PoolSettings { max_idle: 0, ..PoolSettings::default() }, Some(&dead)),
        Pools::new(PoolSettings::default(), None),
    ] {
        let router = world.rebuilt(pools, &Choice::default());
        let refresh = json!({"refresh_token": tokens.refresh}).to_string();
        let login =
            json!({"tenant_id": "acme", "client_id": "web", "email": "ann@example.com", "password": "x"});
        for request in [
            call("GET", "/v1/me", Some(&tokens.access), ""),
            call("POST", "/v1/auth/refresh", None, &refresh),
            call("POST", "/v1/auth/logout", None, &refresh),
            call("POST", "/v1/auth/login", None, &login.to_string()),
        ] {
            let answer = send(&router, request).await;
            assert_eq!(answer.refusal(), (503, "storage_unavailable".to_owned()));
            assert!(answer.header("retry-after").is_some());
            assert!(!answer.text().contains("hunter2") && !answer.text().contains("127.0.0.1"));
        }
    }
    Tokens::of(&world.refresh(&tokens.refresh).await);
    world.end().await;
}
