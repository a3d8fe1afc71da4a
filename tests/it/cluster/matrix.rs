//! T47: three nodes without a user database, with one for all tenants, with one for each tenant, and made anew from a
//! snapshot. Whoever does something does each step of it at another node.

use serde_json::{Value, json};

use super::members::until_done;
use super::snapshots::{JWKS, restore, save, told};
use super::{PASSWORD, everywhere, make_acme};
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES};
use crate::harness::postgres::TestDb;

const ANN: &str = "ann@example.test";

/// What a person holds after a walk through the nodes.
struct Session {
    id: String,
    access: String,
    refresh: String,
}

fn text(answer: &Value, member: &str) -> String {
    assert!(answer[member].is_string(), "{member}: {answer}");
    answer[member].as_str().unwrap().to_owned()
}

/// Body of a registration or login in a tenant.
fn in_tenant(tenant: &str, email: &str, password: &str) -> Value {
    json!({"tenant_id": tenant, "client_id": "web", "email": email, "password": password})
}

fn nodes(cluster: &Cluster) -> [Api; 3] {
    NAMES.map(|name| cluster.api(name))
}

/// The tenant with the client `web`, at every node.
async fn make_tenant(cluster: &Cluster, token: &str, tenant: &str, settings: Value) {
    let path = format!("/v1/admin/tenants/{tenant}");
    cluster.put(token, &path, &json!({"name": tenant, "settings": settings})).await;
    let client = json!({"client_type": "public", "scopes": ["openid", "profile", "email"]});
    let index = cluster.put(token, &format!("{path}/clients/web"), &client).await;
    everywhere(cluster, index).await;
}

async fn log_in(api: &Api, tenant: &str, email: &str, password: &str) -> Value {
    api.post("/v1/auth/login", in_tenant(tenant, email, password)).await.expect(200).json()
}

/// Registers at one node, logs in at the next, refreshes at the third, and is known by all.
async fn lives(cluster: &Cluster, tenant: &str, email: &str, password: &str) -> Session {
    let [one, two, three] = nodes(cluster);
    let body = in_tenant(tenant, email, password);
    let registered = one.post("/v1/auth/register", body).await.expect(201).json();
    let login = log_in(&two, tenant, email, password).await;
    let exchanged = json!({"refresh_token": text(&login, "refresh_token")});
    let refreshed = three.post("/v1/auth/refresh", exchanged).await.expect(200).json();
    let id = text(&registered["user"], "id");
    let session =
        Session { id, access: text(&refreshed, "access_token"), refresh: text(&refreshed, "refresh_token") };
    is_known(cluster, &session).await;
    session
}

/// Every node tells whom the access token speaks for.
async fn is_known(cluster: &Cluster, session: &Session) {
    for api in nodes(cluster) {
        let me = api.bearer(&session.access).get("/v1/me").await.expect(200).json();
        assert_eq!(me["user"]["id"], session.id);
    }
}

async fn people_in(db: &TestDb) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut db.connection().await).await.unwrap()
}

/// A refusal that says what is missing and when to try again.
fn names_the_missing_database(answer: &Answer) {
    assert_eq!((answer.status, answer.code().as_str()), (503, "storage_unavailable"), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let detail = text(&answer.json(), "detail");
    assert!(detail.contains("STORAGE_DSN"), "{detail}");
}

/// T47, control plane only: ready, writable and published; whoever wants a person is told that there is no database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t47_without_a_user_database_the_control_plane_works_and_people_are_refused_clearly() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    everywhere(&cluster, make_acme(&cluster, &token).await).await;
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    let rotated = leader.post("/v1/admin/keys/rotate", json!({"graceSeconds": 3600})).await.expect(200);
    everywhere(&cluster, rotated.header("x-applied-index").unwrap().parse().unwrap()).await;

    let mut published = Vec::new();
    for api in nodes(&cluster) {
        let ready = api.get("/readyz").await.expect(200).json();
        assert_eq!(ready["checks"]["db"], "disabled", "{ready}");
        let discovery = api.get("/.well-known/openid-configuration").await.expect(200).json();
        assert_eq!(discovery["issuer"], cluster.issuer());
        let mut sets = Vec::new();
        for path in JWKS {
            sets.push(api.get(path).await.expect(200).body);
        }
        published.push(sets);
        let admin = api.bearer(&token);
        assert_eq!(admin.get("/v1/admin/ping").await.expect(200).json()["tenant"], "_system");
        assert_eq!(admin.get("/v1/admin/tenants/acme").await.expect(200).json()["slug"], "acme");
        for what in ["test-connection", "migrate"] {
            let path = format!("/v1/admin/tenants/acme/user-store/{what}");
            assert_eq!(admin.post(&path, json!({})).await.expect(501).code(), "tenant_db_missing");
        }

        let person = in_tenant("acme", ANN, PASSWORD);
        for path in ["/v1/auth/register", "/v1/auth/login"] {
            names_the_missing_database(&api.post(path, person.clone()).await);
        }
        let forgot = json!({"tenant_id": "acme", "client_id": "web", "email": ANN});
        names_the_missing_database(&api.post("/v1/auth/forgot", forgot).await);
        names_the_missing_database(&admin.get("/v1/admin/users?tenant_id=acme").await);
    }
    assert!(published.iter().all(|sets| *sets == published[0]), "byte-identical key sets");
    let kid = text(&rotated.json(), "kid");
    assert!(String::from_utf8_lossy(&published[0][0]).contains(&kid), "the new key is published");
}

/// T47, one database for all: the same address is another person in another tenant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t47_in_one_database_tenants_have_their_own_people() {
    let cluster = Cluster::start().await;
    let token = cluster.mint_token();
    for tenant in ["acme", "beta"] {
        make_tenant(&cluster, &token, tenant, json!({})).await;
    }
    are_apart(&cluster).await;
    assert_eq!(people_in(cluster.db.as_ref().unwrap()).await, 2);
}

/// The same address lives in `acme` and in `beta`, and neither is the other.
async fn are_apart(cluster: &Cluster) {
    let here = lives(cluster, "acme", ANN, PASSWORD).await;
    let there = lives(cluster, "beta", ANN, "another horse, battery").await;
    assert_ne!(here.id, there.id);
    let [one, two, three] = nodes(cluster);
    let swapped = in_tenant("beta", ANN, PASSWORD);
    assert_eq!(three.post("/v1/auth/login", swapped).await.expect(401).code(), "invalid_credentials");
    let moved = json!({"refresh_token": here.refresh, "tenant_id": "beta"});
    assert_eq!(two.post("/v1/auth/refresh", moved).await.expect(401).code(), "invalid_refresh_token");
    // Who leaves one tenant is still in the other.
    let session = json!({"refresh_token": here.refresh});
    one.bearer(&here.access).post("/v1/auth/logout", session.clone()).await.expect(204);
    for api in [two, three] {
        api.bearer(&here.access).get("/v1/me").await.expect(401);
        api.post("/v1/auth/refresh", session.clone()).await.expect(401);
    }
    is_known(cluster, &there).await;
}

/// T47, EP107, EP108, a database for each tenant and none besides: its schema is made through the nodes, its people are in no
/// other, and a tenant without one is not let into somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t47_tenants_with_databases_of_their_own_are_in_those_alone() {
    let databases = [("acme", TestDb::empty().await), ("beta", TestDb::empty().await)];
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let [one, two, three] = nodes(&cluster).map(|api| api.bearer(&token));
    for (tenant, db) in &databases {
        make_tenant(&cluster, &token, tenant, json!({"userStore": {"dsn": db.dsn()}})).await;
        let path = format!("/v1/admin/tenants/{tenant}/user-store");
        let tested = async |api: &Api| {
            api.post(&format!("{path}/test-connection"), json!({})).await.expect(200).json()
        };
        let before = tested(&one).await;
        assert_eq!(before["migrations"], "pending", "{before}");
        let too_early = two.post("/v1/auth/login", in_tenant(tenant, ANN, PASSWORD)).await;
        assert_eq!(too_early.status, 503, "{too_early:?}");
        let migrate = format!("{path}/migrate");
        let migrated = two.post(&migrate, json!({})).await.expect(200).json();
        assert_eq!(migrated["applied"], before["pending"]);
        assert_eq!(three.post(&migrate, json!({})).await.expect(200).json(), json!({"applied": 0}));
        assert_eq!(tested(&three).await["migrations"], "current");
    }
    make_tenant(&cluster, &token, "homeless", json!({})).await;

    are_apart(&cluster).await;
    for (tenant, db) in &databases {
        assert_eq!(people_in(db).await, 1, "{tenant}");
    }
    for api in nodes(&cluster) {
        let person = in_tenant("homeless", ANN, PASSWORD);
        names_the_missing_database(&api.post("/v1/auth/register", person).await);
        // Nobody needs the database that is not there.
        api.get("/readyz").await.expect(200);
    }
}

/// The `kid` in the head of a token.
fn kid(token: &str) -> String {
    let head = token.split('.').next().unwrap();
    let head = data_encoding::BASE64URL_NOPAD.decode(head.as_bytes()).unwrap();
    text(&serde_json::from_slice(&head).unwrap(), "kid")
}

/// Ends all nodes, loses all their disks, and makes a new cluster of three from the archive, as docs/operations.md says.
async fn made_anew(cluster: &mut Cluster, archive: &std::path::Path) {
    for name in NAMES {
        cluster.kill9(name);
        std::fs::remove_dir_all(cluster.root(name)).unwrap();
    }
    told(&restore(archive, &cluster.root("node1"), "node1"));
    cluster.start_node("node1");
    assert_eq!(cluster.leader().await, "node1");
    let ready = cluster.ready("node1").await;
    cluster.projected("node1", ready["raft"]["applied_index"].as_u64().unwrap()).await;
    let token = cluster.mint_token();
    for name in ["node2", "node3"] {
        cluster.start_node(name);
        cluster
            .until(name, "told that it is no member", |answer| {
                answer.json()["cluster"]["waiting"].to_string().contains("members add")
            })
            .await;
        let members = "/v1/admin/cluster/members";
        until_done(cluster, &token, members, json!({"name": name})).await;
        cluster.ready(name).await;
        until_done(cluster, &token, &format!("{members}/{name}/promote"), json!({})).await;
    }
}

/// T47, rotation and restore, for the keys of all and those of a tenant: whoever had an account logs in at the new cluster;
/// whoever had a session goes on with it, also with a token of the key before, until the grace is taken away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t47_after_a_rotation_and_a_restore_old_people_and_old_tokens_are_good() {
    let mut cluster = Cluster::start().await;
    let token = cluster.mint_token();
    make_tenant(&cluster, &token, "acme", json!({})).await;
    make_tenant(&cluster, &token, "beta", json!({"issuerMode": "path"})).await;
    let tenants = [("acme", "/v1/admin/keys/rotate"), ("beta", "/v1/admin/tenants/beta/keys/rotate")];
    let mut sessions = Vec::new();
    for (tenant, rotate) in tenants {
        let before = lives(&cluster, tenant, ANN, PASSWORD).await;
        let leader = cluster.api(cluster.leader().await).bearer(&token);
        let rotated = leader.post(rotate, json!({"graceSeconds": 3600})).await.expect(200);
        everywhere(&cluster, rotated.header("x-applied-index").unwrap().parse().unwrap()).await;
        let after = lives(&cluster, tenant, "bob@example.test", PASSWORD).await;
        assert_eq!(kid(&after.access), text(&rotated.json(), "kid"));
        assert_ne!(kid(&before.access), kid(&after.access));
        sessions.push((tenant, rotate, before, after));
    }
    let published = nodes(&cluster)[0].get(JWKS[0]).await.expect(200).body;
    let archive = cluster.dir.path().join("rotated.snap");
    save(&cluster, "node2", &token, &archive);
    let old = cluster.readyz("node1").await.unwrap().json()["cluster"]["cluster_id"].clone();

    made_anew(&mut cluster, &archive).await;
    let token = cluster.mint_token();
    let apis = nodes(&cluster);
    let [one, two, three] = &apis;
    for (tenant, _, before, after) in &sessions {
        for session in [before, after] {
            is_known(&cluster, session).await;
        }
        let exchanged = json!({"refresh_token": before.refresh});
        let refreshed = three.post("/v1/auth/refresh", exchanged).await.expect(200).json();
        assert_eq!(kid(&text(&refreshed, "access_token")), kid(&after.access), "{tenant}");
        let login = log_in(two, tenant, ANN, PASSWORD).await;
        one.bearer(&text(&login, "access_token")).get("/v1/me").await.expect(200);
        lives(&cluster, tenant, "new@example.test", PASSWORD).await;
    }
    for api in &apis {
        let ready = api.get("/readyz").await.expect(200).json();
        assert_ne!(ready["cluster"]["cluster_id"], old);
        assert_eq!(api.get(JWKS[0]).await.expect(200).body, published);
    }
    // A rotation without a grace takes it from the keys before, too, of this tenant.
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    for (tenant, rotate, before, after) in &sessions[1..] {
        let rotated = leader.post(rotate, json!({"graceSeconds": 0})).await.expect(200);
        everywhere(&cluster, rotated.header("x-applied-index").unwrap().parse().unwrap()).await;
        for (api, session) in apis.iter().flat_map(|api| [(api, before), (api, after)]) {
            let refused = api.bearer(&session.access).get("/v1/me").await.expect(401);
            assert_eq!(refused.code(), "invalid_token", "{tenant}");
        }
    }
    is_known(&cluster, &sessions[0].2).await;
}
