//! `hellojohn seed` with fixed ids (T45), against a node on a socket and its database.

use serde_json::{Value, json};

use super::import_cli::{Ran, ran_with, serve};
use super::world::{ISSUER, SECRETBOX, SIGNING, Tokens, World};

const SUB: &str = "0198c0de-0000-7000-8000-000000000001";
const OTHER: &str = "0198c0de-0000-7000-8000-000000000002";
const PASSWORD: &str = "correct horse battery staple";

fn results(report: &Value) -> Vec<&str> {
    report["items"].as_array().unwrap().iter().map(|item| item["result"].as_str().unwrap()).collect()
}

/// T45: `sub` is accepted for `id` and is the subject of the tokens; again, nothing changes, and what an account is and
/// the file does not say is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_with_sub_makes_each_account_once_under_that_id() {
    let world = World::new().await;
    let admin = world.admin().await;
    let (url, _) = serve(world.router.clone(), &[]).await;
    let directory = tempfile::tempdir().unwrap();
    let dsn = world.db.dsn();
    let seed = async |users: &str| -> Ran {
        let text = format!(
            "tenants: [{{slug: acme, clients: [{{client_id: web, providers: [password], scopes: [openid]}}], \
             users: [{users}]}}]"
        );
        std::fs::write(directory.path().join("seed.yaml"), text).unwrap();
        let env = [
            ("HELLOJOHN_BEARER", admin.as_str()),
            ("SIGNING_MASTER_KEY", SIGNING),
            ("SECRETBOX_MASTER_KEY", SECRETBOX),
            ("JWT_ISSUER", ISSUER),
            ("STORAGE_DSN", dsn.as_str()),
            ("ARGON2_MEMORY_KIB", "64"),
        ];
        ran_with(&url, directory.path(), "hellojohn seed DIR/seed.yaml --output json", &env).await
    };
    let ann = format!("{{sub: {SUB}, email: ann@example.com, password: {PASSWORD}, email_verified: true}}");
    let first = seed(&ann).await;
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(results(&first.json()), ["kept", "kept", "created"]);
    let tokens = Tokens::of(&world.try_login("acme", "ann@example.com", PASSWORD).await);
    assert_eq!(tokens.claims().sub, SUB);

    let again = seed(&ann.replace("sub:", "id:").replace(PASSWORD, "another horse and staple")).await;
    assert_eq!((again.code, results(&again.json())), (0, vec!["kept"; 3]));
    assert_eq!(again.json()["notes"], json!([]));
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 200, "nothing was changed");

    let other = seed(&ann.replace(SUB, OTHER)).await;
    assert_eq!(results(&other.json()), ["kept"; 3]);
    assert_eq!(
        other.json()["notes"],
        json!([format!("acme/ann@example.com was there already, with the id {SUB}")])
    );
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 1);

    // S63: a seed is held to the rules like everybody who chooses a password.
    let weak = seed("{email: bob@example.com, password: iloveyou}").await;
    assert_eq!(weak.code, 2);
    assert!(weak.err.contains("guessed first") && !weak.err.contains("iloveyou"), "{}", weak.err);
    world.end().await;
}
