//! What people let clients have, in an administrator's hands (EP120-EP124, EP106; S24, S34, S103).

use serde_json::{Value, json};

use super::world::{Answer, PASSWORD, Tokens, World};

const CONSENTS: &str = "/v1/admin/consents";

fn pair(user: &str, client: &str) -> Value {
    json!({"tenant_id": "acme", "user_id": user, "client_id": client})
}

fn with_scopes(user: &str, client: &str, scopes: &[&str]) -> Value {
    let mut body = pair(user, client);
    body["scopes"] = json!(scopes);
    body
}

impl World {
    async fn consent(&self, admin: &str, user: &str, client: &str, scopes: &[&str]) -> Value {
        let body = with_scopes(user, client, scopes);
        let answer = self.ask("POST", "/v1/admin/consents/upsert", admin, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["consent"].clone()
    }

    async fn login_at(&self, client: &str, email: &str) -> Tokens {
        let body = json!({"tenant_id": "acme", "client_id": client, "email": email, "password": PASSWORD});
        Tokens::of(&self.post("/v1/auth/login", &body).await)
    }

    async fn revoke(&self, admin: &str, user: &str, client: &str) -> Answer {
        self.ask("POST", "/v1/admin/consents/revoke", admin, pair(user, client)).await
    }
}

#[tokio::test]
async fn a_consent_grows_is_revoked_and_is_given_anew_for_what_is_asked_then() {
    let world = World::new().await;
    let admin = world.admin().await;
    let user = world.session("acme", "ann@example.com").await.claims().sub;
    let first = world.consent(&admin, &user, "web", &["profile", "openid", "openid"]).await;
    assert_eq!((&first["scopes"], &first["revoked_at"]), (&json!(["openid", "profile"]), &json!(null)));
    world.clock.advance(std::time::Duration::from_secs(60));
    let wider = world.consent(&admin, &user, "web", &["email"]).await;
    assert_eq!(wider["scopes"], json!(["email", "openid", "profile"]));
    assert_eq!(wider["granted_at"], first["granted_at"]);
    assert_ne!(wider["updated_at"], first["updated_at"]);
    for _ in 0..2 {
        assert_eq!(world.revoke(&admin, &user, "web").await.status, 204);
    }
    let path = format!("{CONSENTS}/by-user/{user}?tenant_id=acme");
    let shown = world.get(&path, &admin).await.json()["items"][0].clone();
    assert_eq!((&shown["scopes"], shown["revoked_at"].is_null()), (&wider["scopes"], false));
    let anew = world.consent(&admin, &user, "web", &["openid"]).await;
    assert_eq!((&anew["scopes"], &anew["revoked_at"]), (&json!(["openid"]), &json!(null)));
    assert_eq!(anew["granted_at"], anew["updated_at"]);
    world.end().await;
}

/// S34: without the consent the sessions at that client are over; those at others and of others are not.
#[tokio::test]
async fn a_revoked_or_deleted_consent_ends_the_sessions_at_its_client_only() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.put_client("acme", "app", json!({"scopes": ["openid"]})).await;
    let user = world.session("acme", "ann@example.com").await.claims().sub;
    let eve = world.session("acme", "eve@example.com").await;
    world.consent(&admin, &user, "app", &["openid"]).await;
    for revoke in [true, false] {
        let (web, app) =
            (world.login("acme", "ann@example.com").await, world.login_at("app", "ann@example.com").await);
        let answer = if revoke {
            world.revoke(&admin, &user, "app").await
        } else {
            let path = format!("{CONSENTS}/{user}/app?tenant_id=acme");
            assert_eq!(world.ask("DELETE", &path, &admin, Value::Null).await.status, 204);
            world.ask("DELETE", &path, &admin, Value::Null).await
        };
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
        assert_eq!(world.get("/v1/me", &app.access).await.status, 401);
        assert_eq!(world.refresh(&app.refresh).await.status, 401);
        assert_eq!(world.get("/v1/me", &web.access).await.status, 200);
        assert_eq!(world.get("/v1/me", &eve.access).await.status, 200);
    }
    assert_eq!(world.count("SELECT count(*) FROM consents").await, 0);
    world.end().await;
}

/// S24, S103: only what the client may have, and only people and clients of the tenant.
#[tokio::test]
async fn scopes_people_and_clients_that_are_not_the_tenants_are_refused() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.put_client("acme", "app", json!({"scopes": ["openid"]})).await;
    let user = world.session("acme", "ann@example.com").await.claims().sub;
    let stranger = world.session("local", "bob@example.com").await.claims().sub;
    let upsert = "/v1/admin/consents/upsert";
    for (body, errors) in [
        (with_scopes(&user, "app", &["openid", "email"]), vec!["scopes[1]: not_allowed"]),
        (with_scopes(&user, "app", &["ghost"]), vec!["scopes[0]: not_allowed"]),
        (with_scopes(&user, "app", &[]), vec!["scopes: out_of_range"]),
        (with_scopes(&user, "app", &["A"]), vec!["scopes[0]: invalid"]),
        (pair(&user, "app"), vec!["scopes: required"]),
    ] {
        assert_eq!(world.ask("POST", upsert, &admin, body.clone()).await.errors(), errors, "{body}");
    }
    for (user, client, code) in [(&user, "ghost", "client_not_found"), (&stranger, "app", "user_not_found")] {
        let answer = world.ask("POST", upsert, &admin, with_scopes(user, client, &["openid"])).await;
        assert_eq!(answer.refusal(), (404, code.to_owned()));
    }
    assert_eq!(world.revoke(&admin, &stranger, "app").await.refusal(), (404, "user_not_found".to_owned()));
    assert_eq!(world.count("SELECT count(*) FROM consents").await, 0);
    world.end().await;
}

/// Spec §4: a client that was deleted and made again under its name inherits no consent; the old one can still be revoked.
#[tokio::test]
async fn a_client_that_is_made_again_inherits_nothing() {
    let world = World::new().await;
    let admin = world.admin().await;
    let user = world.session("acme", "ann@example.com").await.claims().sub;
    world.put_client("acme", "app", json!({"scopes": ["openid", "email"]})).await;
    world.consent(&admin, &user, "app", &["openid"]).await;
    world.delete_client("acme", "app").await;
    world.put_client("acme", "app", json!({"scopes": ["openid", "email"]})).await;
    let anew = world.consent(&admin, &user, "app", &["email"]).await;
    assert_eq!(anew["scopes"], json!(["email"]));
    world.delete_client("acme", "app").await;
    assert_eq!(world.revoke(&admin, &user, "app").await.status, 204);
    assert_eq!(world.count("SELECT count(*) FROM consents WHERE revoked_at IS NULL").await, 0);
    world.end().await;
}

#[tokio::test]
async fn consents_are_listed_page_by_page_of_all_of_a_client_and_of_a_person() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.put_client("acme", "app", json!({"scopes": ["openid"]})).await;
    let mut all = Vec::new();
    for email in ["ann@example.com", "bob@example.com", "eve@example.com"] {
        let user = world.session("acme", email).await.claims().sub;
        for client in ["app", "web"] {
            world.consent(&admin, &user, client, &["openid"]).await;
            all.push((user.clone(), client.to_owned()));
        }
    }
    let ann = all[0].0.clone();
    let walk = async |base: String| {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("{base}&limit=2&cursor={cursor}"), &admin).await.json();
            for item in page["items"].as_array().unwrap() {
                let text = |member: &str| item[member].as_str().unwrap().to_owned();
                seen.push((text("user_id"), text("client_id")));
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = next.to_owned();
        }
        seen.sort();
        seen
    };
    all.sort();
    assert_eq!(walk(format!("{CONSENTS}?tenant_id=acme")).await, all);
    let of_app: Vec<_> = all.iter().filter(|(_, client)| client == "app").cloned().collect();
    assert_eq!(walk(format!("{CONSENTS}?tenant_id=acme&client_id=app")).await, of_app);
    let of_ann: Vec<_> = all.iter().filter(|(user, _)| *user == ann).cloned().collect();
    assert_eq!(walk(format!("{CONSENTS}/by-user/{ann}?tenant_id=acme")).await, of_ann);
    assert_eq!(walk(format!("{CONSENTS}?tenant_id=local")).await, []);
    for (query, code) in [
        ("&client_id=ghost", "client_not_found"),
        ("&client_id=%20", "invalid_client_id"),
        ("&cursor=YQ", "invalid_parameter"),
    ] {
        assert_eq!(world.get(&format!("{CONSENTS}?tenant_id=acme{query}"), &admin).await.refusal().1, code);
    }
    world.end().await;
}

/// EP106, spec §13.12: a scope that somebody consented to stays in the catalogue until the consent is revoked.
#[tokio::test]
async fn a_scope_that_people_consented_to_is_not_removed() {
    let world = World::new().await;
    let admin = world.admin().await;
    let user = world.session("acme", "ann@example.com").await.claims().sub;
    world.consent(&admin, &user, "web", &["email"]).await;
    // The client's own use is looked at first by the machine; here only the person's is left.
    world.put_client("acme", "web", json!({"scopes": ["openid"]})).await;
    let path = "/v1/admin/tenants/acme/scopes";
    let catalogue = world.get(path, &admin).await.json();
    let scopes: Vec<Value> = catalogue["scopes"].as_array().unwrap().clone();
    let without: Vec<&Value> = scopes.iter().filter(|scope| scope["name"] != "email").collect();
    let refused = world.ask("PUT", path, &admin, json!({"scopes": without})).await;
    assert_eq!(refused.refusal(), (409, "scope_in_use".to_owned()));
    assert!(refused.text().contains("email"), "{}", refused.text());
    assert_eq!(world.get(path, &admin).await.json(), catalogue);
    world.revoke(&admin, &user, "web").await;
    let answer = world.ask("PUT", path, &admin, json!({"scopes": without})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.end().await;
}

/// Spec §13.12: while consents cannot be looked at, no scope is removed; adding one needs no database.
#[tokio::test]
async fn without_the_database_scopes_are_added_and_not_removed() {
    use hellojohn::store::{Dsn, PoolSettings, Pools};
    let world = World::new().await;
    let path = "/v1/admin/tenants/acme/scopes";
    let nobody = Dsn::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    let down = world.rebuilt(Pools::new(PoolSettings::default(), Some(&nobody)), &Default::default());
    let none = world.rebuilt(Pools::new(PoolSettings::default(), None), &Default::default());
    let token = super::admin::minted(&world, std::time::Duration::from_secs(60)).unwrap();
    let put = async |router: &axum::Router, path: &str, scopes: Value| {
        let request =
            super::world::call("PUT", path, Some(token.expose()), &json!({"scopes": scopes}).to_string());
        super::world::send(router, request).await
    };
    let scopes = world.get(path, token.expose()).await.json()["scopes"].clone();
    let mut more = scopes.as_array().unwrap().clone();
    more.push(json!({"name": "orders:read"}));
    let added = put(&down, path, json!(more)).await;
    assert_eq!(added.status, 200, "{}", added.text());
    let merged = put(&down, &format!("{path}?mode=merge"), json!([{"name": "orders:write"}])).await;
    assert_eq!(merged.status, 200, "{}", merged.text());
    let removed = put(&down, path, scopes.clone()).await;
    assert_eq!(removed.refusal(), (503, "storage_unavailable".to_owned()));
    assert_eq!(put(&none, path, scopes).await.status, 200);
    world.end().await;
}
