//! What people do, each step at another node of three (T43, T47; spec §1 promise "any node"; S65, S67, S71, S80).

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::{PASSWORD, everywhere, make_acme, person};
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};
use crate::harness::smtp::{Received, SmtpSink};

pub(super) const EMAIL: &str = "ann@example.test";
const NEW: &str = "another horse, battery";

/// A cluster whose nodes mail to a sink; the administrator's token.
async fn mailing() -> (Cluster, SmtpSink, String) {
    mailing_with(&[]).await
}

/// As [`mailing`], with further settings.
pub(super) async fn mailing_with(further: &[(&str, &str)]) -> (Cluster, SmtpSink, String) {
    let sink = SmtpSink::start().await;
    let mut cluster = Cluster::prepare().await;
    for (name, value) in further {
        cluster.set(name, value);
    }
    for (name, value) in [
        ("SMTP_HOST", sink.addr.ip().to_string()),
        ("SMTP_PORT", sink.addr.port().to_string()),
        ("SMTP_TLS", "none".to_owned()),
        ("SMTP_FROM", "no-reply@id.example.test".to_owned()),
        ("AUTH_RESET_AUTO_LOGIN", "1".to_owned()),
    ] {
        cluster.set(name, &value);
    }
    cluster.start_all().await;
    let token = cluster.mint_token();
    everywhere(&cluster, make_acme(&cluster, &token).await).await;
    (cluster, sink, token)
}

/// The mail whose link leads to `page`, whichever node sends it.
pub(super) async fn mailed(sink: &SmtpSink, page: &str) -> Received {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(mail) = sink.mails().into_iter().find(|mail| mail.data.contains(page)) {
            return mail;
        }
        assert!(std::time::Instant::now() < deadline, "no mail leads to {page}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What an authenticator shows `ahead` steps from now. Nodes take the steps before and after theirs, each once, so now and one
/// ahead are good also when a step ends meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "the nodes go by the time of day, and so does an authenticator"
)]
fn code(secret: &str, ahead: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let step = now / 30 + ahead;
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let offset = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

pub(super) fn text(answer: &Answer, member: &str) -> String {
    let json = answer.json();
    assert!(json[member].is_string(), "{member}: {json}");
    json[member].as_str().unwrap().to_owned()
}

/// Whoever the token speaks for, at every node.
async fn everywhere_is(cluster: &Cluster, access: &str, status: u16) {
    for name in NAMES {
        cluster.api(name).bearer(access).get("/v1/me").await.expect(status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t43_a_person_lives_at_all_nodes_at_once() {
    let (cluster, sink, admin) = mailing().await;
    let [one, two, three]: [Api; 3] = NAMES.map(|name| cluster.api(name));

    // Register, confirm the address, log in, refresh; a lost answer costs nothing at another node either.
    let registered = one.post("/v1/auth/register", person(EMAIL)).await.expect(201).json();
    let id = registered["user"]["id"].as_str().unwrap().to_owned();
    let token = mailed(&sink, "/verify-email?").await.token();
    let page = format!("/v1/auth/verify-email?token={token}");
    let asks_json = [("accept", "application/json")];
    two.try_send(reqwest::Method::GET, &page, &asks_json, None).await.unwrap().expect(200);
    let login = three.post("/v1/auth/login", person(EMAIL)).await.expect(200);
    let me = one.bearer(&text(&login, "access_token")).get("/v1/me").await.expect(200).json();
    assert_eq!(me["user"]["email_verified"], true);
    let old = json!({"refresh_token": text(&login, "refresh_token")});
    let refreshed = two.post("/v1/auth/refresh", old.clone()).await.expect(200);
    let again = three.post("/v1/auth/refresh", old.clone()).await.expect(200);
    assert_eq!(
        text(&again, "refresh_token"),
        text(&refreshed, "refresh_token"),
        "one successor (spec §13.11)"
    );

    // A second factor: enrolled here, verified there, asked for everywhere, each code once.
    let session = one.bearer(&text(&refreshed, "access_token"));
    let secret = text(&session.post("/v1/mfa/totp/enroll", json!({})).await.expect(200), "secret_base32");
    let at_two = two.bearer(&text(&refreshed, "access_token"));
    let verified =
        at_two.post("/v1/mfa/totp/verify", json!({"code": code(&secret, 0)})).await.expect(200).json();
    let halves: Vec<String> =
        futures::future::join_all([&one, &two, &three].map(async |api| {
            text(&api.post("/v1/auth/login", person(EMAIL)).await.expect(200), "mfa_token")
        }))
        .await;
    let shown = code(&secret, 1);
    let second = async |api: &Api, half: &String, proof: Value| {
        let mut body = proof;
        body["mfa_token"] = json!(half);
        api.post("/v1/mfa/totp/challenge", body).await
    };
    let (two_says, three_says) = tokio::join!(
        second(&two, &halves[0], json!({"code": shown})),
        second(&three, &halves[1], json!({"code": shown})),
    );
    let mut statuses = [two_says.status, three_says.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "one code, one login (S65)");
    let recovery = json!({"recovery_code": verified["recovery_codes"][0]});
    let (one_says, two_says) =
        tokio::join!(second(&one, &halves[2], recovery.clone()), second(&two, &halves[2], recovery));
    let mut statuses = [one_says.status, two_says.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "one recovery code, one login (S67)");
    let access = text(if one_says.status == 200 { &one_says } else { &two_says }, "access_token");
    everywhere_is(&cluster, &access, 200).await;

    // A forgotten password: asked for here, set there, the second factor at the third; what was before is over everywhere.
    two.post("/v1/auth/forgot", json!({"tenant_id": "acme", "client_id": "web", "email": EMAIL}))
        .await
        .expect(202);
    let token = mailed(&sink, "/reset?").await.token();
    let reset = three.post("/v1/auth/reset", json!({"token": token, "new_password": NEW})).await.expect(200);
    everywhere_is(&cluster, &access, 401).await;
    one.post("/v1/auth/reset", json!({"token": token, "new_password": PASSWORD})).await.expect(400);
    let recovery = json!({"recovery_code": verified["recovery_codes"][1]});
    let finished = second(&one, &text(&reset, "mfa_token"), recovery).await.expect(200);
    let access = text(&finished, "access_token");
    everywhere_is(&cluster, &access, 200).await;
    two.post("/v1/auth/login", person(EMAIL)).await.expect(401);

    // Disabled at one node, dead at all of them (S80).
    let path = format!("/v1/admin/users/{id}/disable?tenant_id=acme");
    two.bearer(&admin).post(&path, json!({})).await.expect(200);
    everywhere_is(&cluster, &access, 401).await;
    three
        .post("/v1/auth/refresh", json!({"refresh_token": text(&finished, "refresh_token")}))
        .await
        .expect(401);
    let path = format!("/v1/admin/users/{id}/enable?tenant_id=acme");
    three.bearer(&admin).post(&path, json!({})).await.expect(200);
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": EMAIL, "password": NEW});
    one.post("/v1/auth/login", body).await.expect(200);
}
