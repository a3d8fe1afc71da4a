//! ID tokens (OpenID Connect Core §2, §3.1.3), of every algorithm (spec §2.2).

use std::time::Duration;

use hellojohn::service::control::Rotation;
use hellojohn_control::documents::{Alg, KeySet};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};

use super::super::world::{Answer, ISSUER, Tokens, World, context, part, slug};
use super::{ASK, oauth_error, sent, value, with};

const NONCE: (&str, &str) = ("nonce", "n-0S6_WzA2Mj");

impl World {
    /// A world whose cluster writes the present format, with keys of every kind.
    async fn with_keys() -> Self {
        let world = Self::with_apps().await;
        world.raised().await;
        world.tend_keys().await;
        world
    }

    /// The leader's job.
    async fn tend_keys(&self) {
        let now = hellojohn::domain::clock::Clock::now(&*self.clock);
        self.state.control.tend_keys(now).await.unwrap();
    }

    async fn id_token(&self, cookie: &str) -> String {
        let code = self.auth_code(cookie, &with(&ASK, &[NONCE])).await;
        id_token(&self.redeem(&code, &[]).await)
    }

    /// What a relying party makes of an ID token: the key from the published set, one algorithm, issuer and audience.
    fn relied_on(&self, token: &str, alg: Alg, tenant: Option<&str>) -> Value {
        let set = tenant.map_or(KeySet::Global, |tenant| KeySet::Tenant(slug(tenant)));
        let view = self.plane.view();
        let jwks: JwkSet = serde_json::from_slice(view.keys(&set).unwrap().jwks()).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!((header.typ.as_deref(), format!("{:?}", header.alg)), (Some("JWT"), shown(alg)));
        let key = DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        // The clock of these tests stands still, in another year.
        validation.validate_exp = false;
        validation.set_audience(&["app"]);
        validation.set_issuer(&[tenant.map_or(ISSUER.to_owned(), |tenant| format!("{ISSUER}/t/{tenant}"))]);
        jsonwebtoken::decode(token, &key, &validation).unwrap().claims
    }
}

fn shown(alg: Alg) -> String {
    match alg {
        Alg::EdDsa => "EdDSA".to_owned(),
        Alg::Es256 => "ES256".to_owned(),
        Alg::Rs256 => "RS256".to_owned(),
    }
}

fn id_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id_token"].as_str().unwrap().to_owned()
}

/// Every claim and where it comes from.
#[tokio::test]
async fn the_claims_are_those_of_openid_connect_core() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    world.sql("UPDATE users SET given_name = 'Ann', custom = '{\"plan\": \"gold\"}'").await;
    let code = world.auth_code(&cookie, &with(&ASK, &[NONCE, ("scope", "openid email profile")])).await;
    let answer = world.redeem(&code, &[]).await;
    let (token, access) = (id_token(&answer), Tokens::of(&answer));
    assert_eq!(part(&token, 0)["typ"], "JWT");
    let mut claims = part(&token, 1);
    let of_access = access.claims();
    let now = of_access.iat;
    // §2: the person, as the access token and userinfo name them (§5.3.2).
    assert_eq!(claims["sub"].take(), of_access.sub);
    // §2: `exp`, `iat`, `auth_time` (asked for by nobody, and harmless).
    for (name, time) in [("exp", now + 900), ("iat", now), ("auth_time", now)] {
        assert_eq!(claims[name].take(), time, "{name}");
    }
    // §3.1.3.6: binds the access token.
    let hash = hellojohn::crypto::jwt::at_hash(Alg::EdDsa, &access.access);
    assert_eq!(claims["at_hash"].take(), hash);
    // Back-Channel Logout §2.1: the browser's session, not the family of tokens.
    let sid = claims["sid"].take();
    assert_ne!(sid, of_access.sid.unwrap());
    let sessions = world.count("SELECT count(*) FROM browser_sessions").await;
    assert!(sid.is_string() && sessions == 1);
    let updated = claims["updated_at"].take();
    assert!(updated.is_i64());
    let rest: Value = claims
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(
        rest,
        json!({
            // §2, and RFC 9207: the issuer of the metadata.
            "iss": ISSUER,
            // §2: the client alone; `azp` says the same to whoever looks for it.
            "aud": "app", "azp": "app",
            // §2, §3.1.2.1: as it came.
            "nonce": "n-0S6_WzA2Mj",
            // §2, RFC 8176.
            "acr": "loa:1", "amr": ["pwd"],
            // §5.4: what the scopes tell. The tenant's own attributes are userinfo's.
            "email": "ann@example.com", "email_verified": false, "given_name": "Ann", "name": "Ann",
            // spec §7.
            "tid": "acme",
        })
    );
    world.end().await;
}

/// OpenID Connect Core §3.1.2.1, §12.2: with `openid` only; a refresh yields one without the nonce, of the same login.
#[tokio::test]
async fn an_id_token_is_for_whoever_asks_for_openid() {
    let world = World::with_apps().await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &with(&ASK, &[("scope", "profile")])).await;
    assert_eq!(world.redeem(&code, &[]).await.json().get("id_token"), None);

    let code = world.auth_code(&cookie, &with(&ASK, &[NONCE])).await;
    let first = world.redeem(&code, &[]).await;
    world.clock.advance(Duration::from_secs(5));
    let refresh_token = Tokens::of(&first).refresh;
    let refresh =
        [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh_token.as_str())];
    let second = world.form("/oauth2/token", &[], &refresh).await;
    let [old, new] = [&first, &second].map(|answer| part(&id_token(answer), 1));
    for name in ["iss", "sub", "aud", "azp", "auth_time", "sid", "acr", "amr"] {
        assert_eq!(old[name], new[name], "{name}");
    }
    assert_eq!((new.get("nonce"), new["iat"].as_i64()), (None, old["iat"].as_i64().map(|iat| iat + 5)));

    let refresh_token = Tokens::of(&second).refresh;
    let narrowed = [refresh[0], refresh[1], ("refresh_token", refresh_token.as_str()), ("scope", "profile")];
    let third = world.form("/oauth2/token", &[], &narrowed).await;
    assert_eq!((third.status.as_u16(), third.json().get("id_token")), (200, None));
    world.end().await;
}

/// EP002, spec §6: our own API yields one, too; its session is that of the tokens.
#[tokio::test]
async fn a_login_at_our_own_api_yields_an_id_token() {
    let world = World::with_apps().await;
    world.register("acme", "ann@example.com").await;
    let answer = world.try_login("acme", "ann@example.com", super::super::world::PASSWORD).await;
    let claims = part(&id_token(&answer), 1);
    let tokens = Tokens::of(&answer);
    assert_eq!((&claims["aud"], &claims["sid"]), (&json!("web"), &json!(tokens.claims().sid.unwrap())));
    assert_eq!(claims.get("nonce"), None);
    assert_eq!(world.get("/v1/me", &id_token(&answer)).await.status, 401, "it is no access token");
    world.put_client("acme", "web", json!({"scopes": ["profile"]})).await;
    let answer = world.try_login("acme", "ann@example.com", super::super::world::PASSWORD).await;
    assert_eq!(answer.json().get("id_token"), None);
    world.end().await;
}

/// spec §2.2: by client, by tenant, and EdDSA for whoever chooses nothing.
#[tokio::test]
async fn each_client_gets_the_algorithm_that_it_chose() {
    let world = World::with_keys().await;
    let cookie = world.seated("ann@example.com").await;
    assert_eq!(world.relied_on(&world.id_token(&cookie).await, Alg::EdDsa, None)["nonce"], NONCE.1);
    for alg in [Alg::Rs256, Alg::Es256, Alg::EdDsa] {
        world.put_client("acme", "app", json!({"id_token_signed_response_alg": alg})).await;
        let code = world.auth_code(&cookie, &with(&ASK, &[NONCE])).await;
        let answer = world.redeem(&code, &[]).await;
        let claims = world.relied_on(&id_token(&answer), alg, None);
        let access = Tokens::of(&answer).access;
        assert_eq!(claims["at_hash"], hellojohn::crypto::jwt::at_hash(alg, &access));
        assert_eq!(part(&access, 0)["alg"], "EdDSA", "that is another choice");
    }
    world.put_client("acme", "app", json!({"id_token_signed_response_alg": null})).await;
    world.put_tenant("acme", json!({"settings": {"signingAlgs": ["RS256", "EdDSA"]}})).await;
    world.relied_on(&world.id_token(&cookie).await, Alg::Rs256, None);

    for alg in Alg::ALL {
        world.put_client("acme", "app", json!({"access_token_signed_response_alg": alg})).await;
        let tokens = world.granted(&cookie).await;
        assert_eq!(part(&tokens.access, 0)["alg"], json!(alg));
        assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200, "{alg:?}");
    }
    world.end().await;
}

/// spec §2.2: a path tenant's keys of a kind are made when first selected, and by a rotation: published first, then signing.
#[tokio::test]
async fn a_tenant_with_its_own_issuer_gets_keys_of_what_its_clients_choose() {
    let world = World::with_keys().await;
    world.put_tenant("acme", json!({"settings": {"issuerMode": "path"}})).await;
    let cookie = world.seated("ann@example.com").await;
    world.relied_on(&world.id_token(&cookie).await, Alg::EdDsa, Some("acme"));
    world.put_client("acme", "app", json!({"id_token_signed_response_alg": "RS256"})).await;
    let code = world.auth_code(&cookie, &with(&ASK, &[NONCE])).await;
    let early = world.redeem(&code, &[]).await;
    assert_eq!((early.status.as_u16(), early.header("retry-after")), (503, Some("1")));
    assert_eq!(oauth_error(&early).1, "temporarily_unavailable");
    world.tend_keys().await;
    world.tend_keys().await;
    // The code was not spent on it.
    world.relied_on(&id_token(&world.redeem(&code, &[]).await), Alg::Rs256, Some("acme"));
    let view = world.plane.view();
    let ring = &view.tenant(&slug("acme")).unwrap().keys;
    assert_eq!(ring.algs(), [Alg::EdDsa, Alg::Rs256], "nobody chose ES256");
    // By the tenant's own choice: with the write.
    world.put_tenant("acme", json!({"settings": {"signingAlgs": ["ES256"]}})).await;
    world.put_client("acme", "app", json!({"id_token_signed_response_alg": null})).await;
    world.relied_on(&world.id_token(&cookie).await, Alg::Es256, Some("acme"));
    let tokens = world.granted(&cookie).await;
    assert_eq!(part(&tokens.access, 0)["alg"], "ES256", "the tenant does without EdDSA");
    world.end().await;
}

/// S46, spec §13.3: each kind is rotated by itself, and what was signed before verifies until the grace is over.
#[tokio::test]
async fn each_kind_of_key_is_rotated_by_itself() {
    let world = World::with_keys().await;
    let cookie = world.seated("ann@example.com").await;
    for alg in Alg::ALL {
        world.put_client("acme", "app", json!({"id_token_signed_response_alg": alg})).await;
        let old = world.id_token(&cookie).await;
        let others: Vec<_> = active(&world).into_iter().filter(|(other, _)| *other != alg).collect();
        let rotation = Rotation { alg: Some(alg), grace_seconds: Some(60), ..Rotation::default() };
        world.state.control.rotate_keys(&context(), KeySet::Global, rotation).await.unwrap();
        let new = world.id_token(&cookie).await;
        assert_ne!(part(&old, 0)["kid"], part(&new, 0)["kid"]);
        for token in [&old, &new] {
            world.relied_on(token, alg, None);
        }
        assert!(others.iter().all(|other| active(&world).contains(other)), "{alg:?}");
    }
    world.end().await;
}

/// The key that signs, by algorithm.
fn active(world: &World) -> Vec<(Alg, String)> {
    let view = world.plane.view();
    let of = |alg| view.global_keys().active(alg).map(|key| (alg, key.kid.to_string()));
    Alg::ALL.into_iter().filter_map(of).collect()
}

/// OpenID Connect Core §3.1.2.1: `id_token_hint` says whom the client means, and nobody else is let in for them.
#[tokio::test]
async fn a_hint_names_the_person() {
    let world = World::with_apps().await;
    let ann = world.seated("ann@example.com").await;
    let bob = world.seated("bob@example.com").await;
    let token = world.id_token(&ann).await;
    world.clock.advance(Duration::from_secs(3600));
    let ask = with(&ASK, &[("id_token_hint", &token)]);
    assert!(value(&sent(&world.authorize(&ann, &ask).await), "code").is_some(), "an old hint is a hint");
    let quiet = with(&ask, &[("prompt", "none")]);
    assert_eq!(value(&sent(&world.authorize(&bob, &quiet).await), "error"), Some("login_required"));
    let answer = world.authorize(&bob, &ask).await;
    let login = answer.header("location").unwrap();
    assert!(login.starts_with("/login?"), "{login}");
    // Whoever comes back from there as somebody else still is not the one who is meant.
    let back = super::query(login.split_once('?').unwrap().1);
    let again = world.follow(&bob, value(&back, "return_to").unwrap()).await;
    assert_eq!(value(&sent(&again), "error"), Some("login_required"));
    world.end().await;
}

/// OpenID Connect Core §3.1.2.1; S36, S37: an access token, another client's or another tenant's token, a forged one.
#[tokio::test]
async fn what_is_no_id_token_of_this_client_is_no_hint() {
    let world = World::with_apps().await;
    world.furnish_apps("local").await;
    let cookie = world.seated("ann@example.com").await;
    let code = world.auth_code(&cookie, &ASK).await;
    let answer = world.redeem(&code, &[]).await;
    let (own, access) = (id_token(&answer), Tokens::of(&answer).access);
    let web = id_token(&world.try_login("acme", "ann@example.com", super::super::world::PASSWORD).await);
    world.register("local", "ann@example.com").await;
    let elsewhere = world.browser("local", "ann@example.com").await;
    let code = world.auth_code(&elsewhere, &with(&ASK, &[("tenant_id", "local")])).await;
    let local = id_token(&world.redeem(&code, &[]).await);
    let forged = format!("{}AAAA", &own[..own.len() - 4]);
    for hint in [&access, &web, &local, &forged, &"x".to_owned()] {
        let answer = world.authorize(&cookie, &with(&ASK, &[("id_token_hint", hint)])).await;
        assert_eq!(value(&sent(&answer), "error"), Some("invalid_request"), "{hint}");
    }
    world.end().await;
}
