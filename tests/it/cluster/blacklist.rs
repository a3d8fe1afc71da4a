//! T44: the list of refused passwords holds at every node and wherever a password is set.

use serde_json::{Value, json};

use super::people::{EMAIL, mailed, mailing_with, text};
use super::{PASSWORD, login, person};
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::NAMES;

const LISTED: &str = "Tr4lala-la-la-la";

/// A refusal that says why, and does not repeat the password.
fn is_refused(answer: Answer, field: &str) {
    let answer = answer.expect(422);
    let told = &answer.json()["errors"];
    assert_eq!((&told[0]["field"], &told[0]["code"]), (&json!(field), &json!("blacklisted")), "{told}");
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    assert!(!String::from_utf8_lossy(&answer.body).contains(LISTED), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_a_blacklisted_password_is_refused_wherever_it_would_be_set() {
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), format!("# Refused here.\n\n{}\n", LISTED.to_lowercase())).unwrap();
    let path = list.path().display().to_string();
    let (cluster, sink, admin) = mailing_with(&[("SECURITY_PASSWORD_BLACKLIST_PATH", &path)]).await;
    let [one, two, three]: [Api; 3] = NAMES.map(|name| cluster.api(name));

    let with = |mut body: Value, member: &str| {
        body[member] = json!(LISTED);
        body
    };
    for api in [&one, &two, &three] {
        is_refused(api.post("/v1/auth/register", with(person(EMAIL), "password")).await, "password");
    }
    one.post("/v1/auth/register", person(EMAIL)).await.expect(201);
    let access = text(&login(&two, EMAIL).await, "access_token");
    let change = json!({"current_password": PASSWORD});
    let changed = three.bearer(&access).post("/v1/me/password", with(change, "new_password")).await;
    is_refused(changed, "new_password");

    // The mailed token survives it, and sets a good one at another node.
    let asked = json!({"tenant_id": "acme", "client_id": "web", "email": EMAIL});
    one.post("/v1/auth/forgot", asked).await.expect(202);
    let token = mailed(&sink, "/reset?").await.token();
    let reset = json!({"token": token});
    is_refused(two.post("/v1/auth/reset", with(reset, "new_password")).await, "new_password");
    let good = json!({"token": token, "new_password": "another horse, battery"});
    three.post("/v1/auth/reset", good).await.expect(200);

    // Nor may an administrator set it.
    let made = json!({"tenant_id": "acme", "email": "bob@example.test"});
    is_refused(two.bearer(&admin).post("/v1/admin/users", with(made, "password")).await, "password");
    // Nobody has it, and the login asks no list.
    let tried = three.post("/v1/auth/login", with(person(EMAIL), "password")).await.expect(401);
    assert_eq!(tried.code(), "invalid_credentials");
}
