//! Roles and permissions: who has them, what tokens say, and the role that makes an administrator (EP125-EP128, spec §6, §7;
//! S100, S102, S103).

use hellojohn_control::documents::Scope;
use hellojohn_control::{Command, ScopesMode};
use serde_json::{Value, json};

use super::world::{PASSWORD, Tokens, World, payload, slug};

fn roles_of(id: &str, tenant: &str) -> String {
    format!("/v1/admin/rbac/users/{id}/roles?tenant_id={tenant}")
}

fn perms_of(role: &str) -> String {
    format!("/v1/admin/rbac/roles/{role}/perms?tenant_id=acme")
}

impl World {
    /// Gives the client `web` of a tenant the scopes that ask for roles and permissions.
    async fn with_scopes(&self, tenant: &str) {
        let scope = |name: &str| serde_json::from_value::<Scope>(json!({"name": name})).unwrap();
        let scopes = vec![scope("roles"), scope("permissions")];
        self.propose(Command::PutScopes { slug: slug(tenant), scopes, mode: ScopesMode::Merge }).await;
        self.put_client(tenant, "web", json!({"scopes": ["openid", "roles", "permissions"]})).await;
    }

    async fn change(&self, admin: &str, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, admin, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

#[tokio::test]
async fn roles_and_permissions_are_given_taken_and_told_in_tokens_that_ask() {
    let world = World::new().await;
    let admin = world.admin().await;
    let before = world.session("acme", "ann@example.com").await;
    let id = before.claims().sub;
    let path = roles_of(&id, "acme");
    assert_eq!(world.get(&path, &admin).await.json(), json!({"roles": []}));
    let given = world.change(&admin, &path, json!({"add": ["viewer", "editor", "viewer"]})).await;
    assert_eq!(given, json!({"roles": ["editor", "viewer"]}));
    let again = world.change(&admin, &path, json!({"add": ["editor"], "remove": ["viewer", "none"]})).await;
    assert_eq!(again, json!({"roles": ["editor"]}));
    world.change(&admin, &perms_of("editor"), json!({"add": ["posts:write", "posts:read"]})).await;
    world.change(&admin, &perms_of("viewer"), json!({"add": ["posts:read", "stats:read"]})).await;
    let shown = world.get(&perms_of("editor"), &admin).await.json();
    assert_eq!(shown, json!({"permissions": ["posts:read", "posts:write"]}));

    // The client does not ask for them.
    let silent = Tokens::of(&world.refresh(&before.refresh).await);
    assert_eq!((silent.claims().roles, silent.claims().permissions), (vec![], vec![]));
    world.with_scopes("acme").await;
    let tokens = world.login("acme", "ann@example.com").await;
    assert_eq!(tokens.claims().roles, ["editor"]);
    assert_eq!(tokens.claims().permissions, ["posts:read", "posts:write"]);
    assert_eq!(tokens.claims().custom, None);
    // Every token is made from what is there now (S35).
    world.change(&admin, &path, json!({"add": ["viewer"]})).await;
    world.change(&admin, &perms_of("editor"), json!({"remove": ["posts:write"]})).await;
    let refreshed = Tokens::of(&world.refresh(&tokens.refresh).await);
    assert_eq!(refreshed.claims().roles, ["editor", "viewer"]);
    assert_eq!(refreshed.claims().permissions, ["posts:read", "stats:read"]);
    world.end().await;
}

#[tokio::test]
async fn names_that_are_none_contradict_or_are_too_many_are_refused_and_nothing_is_changed() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.session("acme", "ann@example.com").await.claims().sub;
    let path = roles_of(&id, "acme");
    world.change(&admin, &path, json!({"add": ["editor"]})).await;
    for (body, errors) in [
        (json!({"add": ["Editor"]}), "add[0]: invalid"),
        (json!({"add": ["ok", "a b"]}), "add[1]: invalid"),
        (json!({"add": ["a"], "remove": ["editor", "a"]}), "remove[1]: contradiction"),
        (json!({"add": ["a", "sys:admin"]}), "add[1]: reserved"),
        (json!({"add": ["sys:other"]}), "add[0]: reserved"),
        (json!({"roles": ["a"]}), "roles: unknown_field"),
        (json!({"add": "a"}), "add: wrong_type"),
    ] {
        assert_eq!(world.ask("POST", &path, &admin, body.clone()).await.errors(), [errors], "{body}");
    }
    let names = |count: usize| (0..count).map(|n| format!("role-{n}")).collect::<Vec<_>>();
    for (add, what) in [(names(65), "a list that is too long"), (names(64), "one more than there may be")] {
        let answer = world.ask("POST", &path, &admin, json!({"add": add})).await;
        assert_eq!(answer.errors(), ["add: too_many"], "{what}");
    }
    assert_eq!(world.get(&path, &admin).await.json(), json!({"roles": ["editor"]}));
    let answer = world.ask("POST", &perms_of("editor"), &admin, json!({"add": ["sys:root"]})).await;
    assert_eq!(answer.errors(), ["add[0]: reserved"]);
    for role in ["sys:admin", "A", "a%20b"] {
        let answer = world.ask("POST", &perms_of(role), &admin, json!({"add": ["posts:read"]})).await;
        assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()), "{role}");
    }
    assert_eq!(world.count("SELECT count(*) FROM role_permissions").await, 0);
    world.end().await;
}

/// Parallel changes all count, and the limit holds among them.
#[tokio::test]
async fn parallel_changes_never_pass_the_limit() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.session("acme", "ann@example.com").await.claims().sub;
    let path = roles_of(&id, "acme");
    let changes = (0..8).map(|n| {
        let add: Vec<_> = (0..10).map(|m| format!("role-{n}-{m}")).collect();
        world.ask("POST", &path, &admin, json!({"add": add}))
    });
    let made = futures::future::join_all(changes).await.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 6);
    assert_eq!(world.count("SELECT count(*) FROM user_roles").await, 60);
    world.end().await;
}

/// Spec §6: the role makes an administrator of people of an admin tenant, and of nobody else, from the next token on and no
/// longer than it is there.
#[tokio::test]
async fn the_administrators_role_counts_in_admin_tenants_only_and_ends_at_once() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.with_scopes("acme").await;
    world.with_scopes("local").await;
    let before = world.session("local", "ann@example.com").await;
    let id = before.claims().sub;
    let path = roles_of(&id, "local");
    let ping = async |token: &str| world.get("/v1/admin/ping", token).await.refusal().0;
    world.change(&admin, &path, json!({"add": ["sys:admin", "editor"]})).await;
    assert_eq!(ping(&before.access).await, 403, "the token must say so too");
    let tokens = world.login("local", "ann@example.com").await;
    assert_eq!(
        payload(&tokens.access)["custom"],
        json!({"urn:hellojohn:sys": {"is_admin": false, "roles": ["sys:admin"]}})
    );
    assert_eq!(tokens.claims().roles, ["editor"], "what is the installation's stands apart");
    assert_ne!(ping(&tokens.access).await, 403);
    world.change(&admin, &path, json!({"remove": ["sys:admin"]})).await;
    assert_eq!(ping(&tokens.access).await, 403);

    // Whoever runs the database of another tenant makes nobody an administrator.
    let eve = world.session("acme", "eve@example.com").await.claims().sub;
    world
        .sql("INSERT INTO user_roles (tenant, user_id, role, granted_at) SELECT tenant, id, 'sys:admin', now() \
            FROM users WHERE tenant = 'acme'")
        .await;
    let tokens = world.login("acme", "eve@example.com").await;
    assert_eq!((tokens.claims().roles, tokens.claims().custom), (vec![], None));
    assert_eq!(ping(&tokens.access).await, 403);
    // What should not be there can be taken away.
    let left = world.change(&admin, &roles_of(&eve, "acme"), json!({"remove": ["sys:admin"]})).await;
    assert_eq!(left, json!({"roles": []}));
    world.end().await;
}

/// Roles go with the account, and another tenant's role of the same name is another role.
#[tokio::test]
async fn roles_belong_to_their_account_and_their_tenant() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.with_scopes("local").await;
    let ann = world.session("acme", "ann@example.com").await;
    world.change(&admin, &roles_of(&ann.claims().sub, "acme"), json!({"add": ["editor"]})).await;
    world.change(&admin, &perms_of("editor"), json!({"add": ["posts:write"]})).await;
    let bob = world.session("local", "bob@example.com").await.claims().sub;
    world.change(&admin, &roles_of(&bob, "local"), json!({"add": ["editor"]})).await;
    let tokens = world.login("local", "bob@example.com").await;
    assert_eq!((tokens.claims().roles, tokens.claims().permissions), (vec!["editor".to_owned()], vec![]));
    let gone = world.ask("DELETE", "/v1/me", &ann.access, json!({"password": PASSWORD})).await;
    assert_eq!(gone.status, 204);
    assert_eq!(world.count("SELECT count(*) FROM user_roles WHERE tenant = 'acme'").await, 0);
    world.end().await;
}
