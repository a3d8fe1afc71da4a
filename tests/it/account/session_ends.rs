//! How sessions of browsers end, and what is seen of them (EP010, EP130; S34, S80, S81).

use std::time::Duration;

use hellojohn::crypto::secret::SecretString;
use hellojohn::domain::browser_session::BrowserSession;
use hellojohn::domain::clock::Clock as _;
use serde_json::json;

use super::session::{LIVE, but, cookie_of, credentials};
use super::world::{Choice, PASSWORD, World, call, slug, text_of};
use crate::harness::sweeps::swept;

/// The end is fixed at the login; a use is noted once a minute, and what is over is swept.
#[tokio::test]
async fn a_session_ends_by_itself_and_its_row_is_removed() {
    let env = vec![("AUTH_SESSION_TTL", "1h".to_owned())];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    let ann = world.session("acme", "ann@example.com").await;
    let cookie = world.browser("acme", "ann@example.com").await;
    let used = async || {
        let list =
            world.get("/v1/me/sessions", &world.login("acme", "ann@example.com").await.access).await.json();
        let items = list["items"].as_array().unwrap().clone();
        items.into_iter().find(|one| one["kind"] == "browser").map(|one| one["last_used_at"].clone())
    };
    let begun = used().await.unwrap();
    world.clock.advance(Duration::from_secs(59));
    assert!(world.sits(&cookie).await.is_some());
    assert_eq!(used().await.unwrap(), begun);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.sits(&cookie).await.is_some());
    assert_ne!(used().await.unwrap(), begun);
    world.clock.advance(Duration::from_secs(3539));
    assert!(world.sits(&cookie).await.is_some());
    assert_eq!(swept(&world.db, world.clock.now()).await["browser_sessions"], 0);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((world.sits(&cookie).await, used().await), (None, None), "no use lengthens it");
    assert_eq!(swept(&world.db, world.clock.now()).await["browser_sessions"], 1);
    assert_eq!(world.refresh(&ann.refresh).await.status, 200);
    world.end().await;
}

/// S80, S34: whatever ends the sessions of an account ends those of its browsers, at every node, and nobody else's.
#[tokio::test]
async fn what_ends_the_sessions_of_an_account_ends_its_browsers() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register("acme", "eve@example.com").await;
    let eve = world.browser("acme", "eve@example.com").await;
    let (twin, _) = world.twin(&Choice::default());
    // The last one ends those of everybody.
    for what in [
        "logout-all",
        "password",
        "disable",
        "locked",
        "kill",
        "patch",
        "delete",
        "remove",
        "consent",
        "client",
    ] {
        let email = format!("{what}@example.com");
        let ann = world.session("acme", &email).await;
        let cookie = world.browser("acme", &email).await;
        let id = ann.claims().sub;
        let user = |rest: &str| format!("/v1/admin/users/{id}{rest}?tenant_id=acme");
        let (method, path, bearer, body) = match what {
            "logout-all" => ("POST", "/v1/auth/logout-all".to_owned(), &ann.access, json!(null)),
            "password" => {
                let change = json!({"current_password": PASSWORD, "new_password": "another horse, battery"});
                ("POST", "/v1/me/password".to_owned(), &ann.access, change)
            }
            "disable" => ("POST", user("/disable"), &admin, json!(null)),
            "kill" => ("DELETE", user("/sessions"), &admin, json!(null)),
            "patch" => ("PATCH", user(""), &admin, json!({"password": "another horse, battery"})),
            "delete" => ("DELETE", "/v1/me".to_owned(), &ann.access, json!({"password": PASSWORD})),
            "remove" => ("DELETE", user(""), &admin, json!(null)),
            "consent" => {
                let pair = json!({"tenant_id": "acme", "user_id": id, "client_id": "web"});
                ("POST", "/v1/admin/consents/revoke".to_owned(), &admin, pair)
            }
            "client" => ("POST", "/v1/admin/tenants/acme/clients/web/revoke".to_owned(), &admin, json!(null)),
            _ => {
                world.sql("UPDATE users SET status = 'locked' WHERE email = 'locked@example.com'").await;
                assert_eq!(world.sits(&cookie).await, None, "judged by the account at use");
                continue;
            }
        };
        assert!(world.sits(&cookie).await.is_some(), "{what}");
        let answer = world.ask(method, &path, bearer, body).await;
        assert!(answer.status.is_success(), "{what}: {}", answer.text());
        assert_eq!(world.sits(&cookie).await, None, "{what}");
        let elsewhere = twin.accounts.session_of(&SecretString::from(cookie.as_str())).await.unwrap();
        assert_eq!(elsewhere, None, "{what}");
        if what != "client" {
            assert!(world.sits(&eve).await.is_some(), "{what}");
            continue;
        }
        // A client's sessions are of everybody.
        assert_eq!(world.sits(&eve).await, None);
        break;
    }
    world.end().await;
}

/// S80: what was ended stays ended; and a consent is about its client alone.
#[tokio::test]
async fn consents_that_are_withdrawn_and_enabled_accounts_bring_nothing_back() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = world.session("acme", "ann@example.com").await;
    let alone = but(credentials("acme", "ann@example.com"), json!({"client_id": null}));
    let (tenants, clients) =
        (cookie_of(&world.enter(&alone, "").await), world.browser("acme", "ann@example.com").await);
    let id = ann.claims().sub;
    let pair = json!({"tenant_id": "acme", "user_id": id, "client_id": "web"});
    assert_eq!(world.ask("POST", "/v1/admin/consents/revoke", &admin, pair).await.status, 204);
    assert_eq!(world.sits(&clients).await, None, "the one at the client");
    assert!(world.sits(&tenants).await.is_some(), "not the tenant's own");
    for action in ["disable", "enable"] {
        let path = format!("/v1/admin/users/{id}/{action}?tenant_id=acme");
        assert!(world.ask("POST", &path, &admin, json!(null)).await.status.is_success());
        assert_eq!(world.sits(&tenants).await, None, "{action}");
    }
    world.end().await;
}

/// Spec §13.12: rows that a deletion could not reach are revoked by the job, those without a client with their tenant.
#[tokio::test]
async fn orphans_are_found_by_client_and_by_tenant() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    world.put_client("acme", "other", json!({})).await;
    let other = but(credentials("acme", "ann@example.com"), json!({"client_id": "other"}));
    let alone = but(credentials("acme", "ann@example.com"), json!({"client_id": null}));
    let cookies = [
        cookie_of(&world.enter(&other, "").await),
        cookie_of(&world.enter(&alone, "").await),
        world.browser("acme", "ann@example.com").await,
    ];
    let run = async || world.state.control.revoke_orphans(&world.state.stores).await.unwrap();
    run().await;
    assert_eq!(world.count(LIVE).await, 3);
    world.delete_client("acme", "other").await;
    assert_eq!(world.sits(&cookies[0]).await, None, "dead by the view already");
    run().await;
    assert_eq!(world.count(LIVE).await, 2);
    world.propose(hellojohn_control::Command::DeleteTenant { slug: slug("acme") }).await;
    run().await;
    assert_eq!(world.count(LIVE).await, 0);
    world.end().await;
}

/// EP010, EP130, S81: both kinds in one list, and either is ended by its id.
#[tokio::test]
async fn browsers_are_listed_and_ended_with_the_other_sessions() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = world.session("acme", "ann@example.com").await;
    let cookie = world.browser("acme", "ann@example.com").await;
    let alone = but(credentials("acme", "ann@example.com"), json!({"client_id": null}));
    let other = cookie_of(&world.enter(&alone, "").await);
    world.register("acme", "eve@example.com").await;
    let eve = world.sits(&world.browser("acme", "eve@example.com").await).await.unwrap();

    let mut request = call("GET", "/v1/me/sessions", Some(&ann.access), "");
    request.headers_mut().insert("cookie", format!("hj_session={cookie}").parse().unwrap());
    let list = world.send(request).await.json();
    let items = list["items"].as_array().unwrap().clone();
    let told = |id: &str| items.iter().find(|item| item["id"] == *id).cloned().unwrap();
    let id = |session: &BrowserSession| session.id.to_string();
    let (mine, its) = (world.sits(&cookie).await.unwrap(), world.sits(&other).await.unwrap());
    assert_eq!(items.len(), 3);
    for (id, kind, client, current) in [
        (ann.claims().sid.unwrap(), "tokens", json!("web"), true),
        (id(&mine), "browser", json!("web"), true),
        (id(&its), "browser", json!(null), false),
    ] {
        let item = told(&id);
        assert_eq!(
            (&item["kind"], &item["client_id"], &item["current"]),
            (&json!(kind), &client, &json!(current))
        );
    }
    // Page by page, every one once and in one order.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/me/sessions?limit=1&cursor={cursor}"), &ann.access).await.json();
        paged.push(text_of(&page["items"][0], "id"));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(paged, items.iter().map(|item| text_of(item, "id")).collect::<Vec<_>>());

    let end = async |id: &str| {
        world.ask("DELETE", &format!("/v1/me/sessions/{id}"), &ann.access, json!(null)).await
    };
    assert_eq!(end(&id(&eve)).await.status, 404, "somebody else's");
    assert_eq!(end(&id(&its)).await.status, 204);
    assert_eq!(end(&id(&its)).await.status, 404, "over");
    assert!(world.sits(&other).await.is_none() && world.sits(&cookie).await.is_some());

    let path = format!("/v1/admin/users/{}/sessions?tenant_id=acme", ann.claims().sub);
    let list = world.get(&path, &admin).await.json();
    let kinds: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| text_of(item, "kind")).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "browser").count(), 1, "{kinds:?}");
    let ended = world.ask("DELETE", &path, &admin, json!(null)).await.json();
    assert_eq!(ended, json!({"ended": 2}));
    assert_eq!(world.sits(&cookie).await, None);
    world.end().await;
}

/// A cookie of a tenant whose database is away keeps its owner neither out of another tenant nor from seeing the sessions there;
/// and a logout that could end nothing does not say that it did.
#[tokio::test]
async fn a_cookie_of_a_tenant_whose_database_is_away_is_in_nobodys_way() {
    let world = World::new().await;
    let dead = "postgres://app:x@127.0.0.1:1/app?sslmode=disable";
    world.register("acme", "ann@example.com").await;
    world.put_tenant("globex", json!({})).await;
    world.put_client("globex", "web", json!({})).await;
    world.register("globex", "ann@example.com").await;
    let foreign = world.browser("globex", "ann@example.com").await;
    world.put_tenant("globex", json!({"settings": {"userStore": {"dsn": dead}}})).await;

    let cookie = cookie_of(&world.enter(&credentials("acme", "ann@example.com"), &foreign).await);
    assert!(world.sits(&cookie).await.is_some());
    let access = world.login("acme", "ann@example.com").await.access;
    let mut request = call("GET", "/v1/me/sessions", Some(&access), "");
    request.headers_mut().insert("cookie", format!("hj_session={foreign}").parse().unwrap());
    let list = world.send(request).await;
    assert_eq!(list.status, 200, "{}", list.text());
    let items = list.json()["items"].as_array().unwrap().clone();
    let browsers: Vec<_> = items.iter().filter(|item| item["kind"] == "browser").collect();
    assert_eq!((browsers.len(), &browsers[0]["current"]), (1, &json!(false)));
    assert_eq!(world.leave(&foreign).await.status, 503);
    world.end().await;
}
