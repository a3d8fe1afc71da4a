//! I9: no secret in clear in log, snapshot, YAML or log lines. Secrets are planted before a drill and searched for after.

use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::settings::{SECRETBOX_MASTER_KEY, SIGNING_MASTER_KEY, name};
use crate::net::NODES;
use crate::observer::PLANTED;
use crate::shell;

/// Writes documents with secrets in them, and gives what must be found nowhere.
///
/// # Errors
/// When the leader refuses them.
pub async fn plant(cluster: &Cluster, leader: usize) -> Result<Vec<String>, String> {
    let settings = json!({ "settings": {
        "userStore": { "dsn": "postgres://hj:planted-dsn-password@127.0.0.1:1/none" },
        "smtp": { "host": "localhost", "from": "a@example.test", "password": "planted-smtp-password" },
        "socialProviders": {
            "google": { "kind": "google", "clientId": "g", "clientSecret": "planted-social-secret" }
        },
    }});
    put(cluster, leader, &format!("/v1/admin/tenants/{PLANTED}"), &settings).await?;
    let client = json!({ "client_type": "confidential" });
    let made = put(cluster, leader, &format!("/v1/admin/tenants/{PLANTED}/clients/backend"), &client).await?;
    let mut secrets = [
        SIGNING_MASTER_KEY,
        SECRETBOX_MASTER_KEY,
        "planted-dsn-password",
        "planted-smtp-password",
        "planted-social-secret",
        "PRIVATE KEY",
    ]
    .map(str::to_owned)
    .to_vec();
    secrets.extend(made.get("client_secret").and_then(Value::as_str).map(str::to_owned));
    secrets.extend((0..NODES).map(|node| cluster.directory.token(node)));
    Ok(secrets)
}

async fn put(cluster: &Cluster, leader: usize, path: &str, body: &Value) -> Result<Value, String> {
    let answer = cluster
        .directory
        .send(leader, Method::PUT, path, &[], Some(body))
        .await
        .map_err(|silence| format!("{path} cannot be written before the drill: {silence:?}"))?;
    match answer.status {
        200 | 201 => Ok(answer.json()),
        status => Err(format!("{path} cannot be written before the drill: {status} {}", answer.code())),
    }
}

/// Where secrets stand in clear.
pub async fn found(cluster: &Cluster, secrets: &[String]) -> Vec<String> {
    let places: Vec<String> = (0..NODES)
        .flat_map(|node| [name(node), format!("{}.log", name(node))])
        .map(|place| cluster.work().join(place).display().to_string())
        .collect();
    let mut wrong = Vec::new();
    for secret in secrets {
        let mut args = vec!["-rlaF", "-e", secret];
        args.extend(places.iter().map(String::as_str));
        // grep fails when it finds nothing, which is what is wanted.
        if let Ok(files) = shell::run("grep", &args).await {
            let shown: String = secret.chars().take(12).collect();
            wrong.push(format!("I9: {shown}… is in clear in {}", files.replace('\n', ", ")));
        }
    }
    wrong
}
