//! Mails on their way: what arrives at a real mail server, over which connection, and what is never in it (EP050-EP053, S70, S108).

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Answer, Choice, PASSWORD, World, call};
use crate::harness::node::until;
use crate::harness::smtp::{Received, SmtpSink};

/// A mail server, and a world whose tenants mail through it.
pub(super) struct Mailing {
    pub(super) world: World,
    pub(super) sink: SmtpSink,
}

/// The settings that lead to the sink without TLS.
pub(super) fn plain(sink: &SmtpSink) -> Vec<(&'static str, String)> {
    vec![
        ("SMTP_HOST", sink.addr.ip().to_string()),
        ("SMTP_PORT", sink.addr.port().to_string()),
        ("SMTP_TLS", "none".to_owned()),
        ("SMTP_FROM", "Example <no-reply@id.example>".to_owned()),
        ("EMAIL_BASE_URL", "https://id.example".to_owned()),
    ]
}

impl Mailing {
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(super) async fn with(env: &[(&'static str, &str)]) -> Self {
        let sink = SmtpSink::start().await;
        let mut all = plain(&sink);
        all.retain(|(name, _)| env.iter().all(|(other, _)| name != other));
        all.extend(env.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let world = World::with(Choice { env: all, ..Choice::default() }).await;
        Self { world, sink }
    }

    /// Lets the job look, and waits for so many mails in all.
    pub(super) async fn delivered(&self, count: usize) -> Vec<Received> {
        self.tending("the mails to arrive", async || self.sink.mails().len() >= count).await;
        self.settled().await;
        let mails = self.sink.mails();
        assert_eq!(mails.len(), count, "{mails:?}");
        mails
    }

    /// Lets the job look again and again until the condition holds: while a batch is on its way, a look finds its lane busy.
    pub(super) async fn tending(&self, what: &str, holds: impl AsyncFn() -> bool) {
        until(what, || async {
            self.world.state.delivery.tend().await.unwrap();
            holds().await
        })
        .await;
    }

    /// Waits until what was taken from the outbox is written back: sent, or to be tried again.
    pub(super) async fn settled(&self) {
        let now = hellojohn::domain::clock::Clock::now(&*self.world.clock);
        let lease = now.plus(Duration::from_secs(170)).secs();
        until("the outbox to settle", || async {
            let mut connection = self.world.db.connection().await;
            let held: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM mail_outbox WHERE next_attempt_at >= to_timestamp($1) AND dead_at IS NULL",
            )
            .bind(lease)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            held == 0
        })
        .await;
    }

    pub(super) async fn forgot(&self, email: &str) -> Answer {
        let answer = self.world.post("/v1/auth/forgot", &asked(email)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer
    }

    pub(super) async fn reset(&self, token: &str, new: &str) -> Answer {
        self.world.post("/v1/auth/reset", &json!({"token": token, "new_password": new})).await
    }

    pub(super) async fn waiting(&self) -> i64 {
        self.world.count("SELECT count(*) FROM mail_outbox WHERE dead_at IS NULL").await
    }

    pub(super) async fn end(self) {
        self.world.end().await;
    }
}

pub(super) fn asked(email: &str) -> Value {
    json!({"tenant_id": "acme", "client_id": "web", "email": email})
}

/// EP001, EP050: a registration is followed by a mail with a text, an HTML part and a link that verifies.
#[tokio::test]
async fn a_registration_is_followed_by_a_mail_whose_link_verifies_the_address() {
    let mailing = Mailing::new().await;
    mailing.world.put_tenant("acme", json!({"name": "Acme & Sons"})).await;
    let user = mailing.world.register("acme", "Ann@BÜCHER.example").await.json();
    assert_eq!(user["user"]["email_verified"], false);
    let mail = mailing.delivered(1).await.remove(0);
    assert_eq!(mail.to, ["RCPT TO:<Ann@xn--bcher-kva.example>"]);
    assert!(mail.from.starts_with("MAIL FROM:<no-reply@id.example>"), "{}", mail.from);
    assert_eq!(mail.header("From"), "Example <no-reply@id.example>");
    assert_eq!(mail.header("Subject"), "Confirm your e-mail address for Acme & Sons");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(!mail.tls && mail.login.is_none());
    assert!(mail.link().starts_with("https://id.example/verify-email?token=hjl_acme."), "{}", mail.link());
    assert!(mail.part("text/plain").contains("24 hours"));
    assert!(mail.part("text/html").contains("Acme &amp; Sons"));

    let path = format!("/v1/auth/verify-email?token={}", mail.token());
    let answer = mailing.world.send(accepting(&path, "application/json")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"email_verified": true})));
    assert_eq!(mailing.world.count("SELECT count(*) FROM users WHERE email_verified").await, 1);
    assert_eq!(mailing.waiting().await, 0, "what was sent is gone");
    mailing.end().await;
}

pub(super) fn accepting(path: &str, kinds: &str) -> axum::http::Request<axum::body::Body> {
    let mut request = call("GET", path, None, "");
    request.headers_mut().insert("accept", kinds.parse().unwrap());
    request
}

/// spec §8: STARTTLS is required, the certificate is checked, and the password travels inside.
#[tokio::test]
async fn starttls_is_used_and_its_certificate_is_checked() {
    let sink = SmtpSink::start().await;
    let mut env = plain(&sink);
    env.retain(|(name, _)| !matches!(*name, "SMTP_TLS" | "SMTP_HOST"));
    env.extend([
        ("SMTP_HOST", "localhost".to_owned()),
        ("SMTP_TLS", "starttls".to_owned()),
        ("SMTP_USERNAME", "mailer".to_owned()),
        ("SMTP_PASSWORD", "s3cret".to_owned()),
    ]);
    // Without the authority no mail, and no password, goes to a server that nobody vouches for.
    let world = World::with(Choice { env: env.clone(), ..Choice::default() }).await;
    let mut mailing = Mailing { world, sink };
    mailing.world.register("acme", "ann@example.com").await;
    mailing.tending("the server to be called", async || mailing.sink.connections() > 0).await;
    mailing.settled().await;
    assert!(mailing.sink.mails().is_empty());
    assert_eq!(mailing.waiting().await, 1);

    env.push(("SMTP_CA_FILE", mailing.sink.ca_pem.clone()));
    mailing.world.clock.advance(Duration::from_secs(300));
    let (state, _) = mailing.world.twin(&Choice { env, ..Choice::default() });
    mailing.world.state.delivery = state.delivery;
    let mail = mailing.delivered(1).await.remove(0);
    assert!(mail.tls);
    assert_eq!(mail.login.as_deref(), Some(":mailer:s3cret"));
    mailing.end().await;
}

/// A server that offers no TLS gets nothing, although it would take it.
#[tokio::test]
async fn tls_from_the_first_byte_is_never_skipped() {
    let mailing = Mailing::with(&[("SMTP_TLS", "implicit")]).await;
    mailing.world.register("acme", "ann@example.com").await;
    mailing.tending("the server to be called", async || mailing.sink.connections() > 0).await;
    mailing.settled().await;
    assert!(mailing.sink.mails().is_empty());
    assert_eq!(mailing.waiting().await, 1);
    mailing.end().await;
}

/// A tenant's own server, sealed password and branding go before the settings of the node.
#[tokio::test]
async fn a_tenant_mails_through_its_own_server_under_its_own_name() {
    let mailing = Mailing::new().await;
    let own = SmtpSink::start().await;
    let smtp = json!({"host": own.addr.ip().to_string(), "port": own.addr.port(), "tls": "none",
        "from": "accounts@acme.example", "username": "acme", "password": "own-secret"});
    let branding = json!({"displayName": "Acme", "primaryColor": "#aa0000"});
    mailing.world.put_tenant("acme", json!({"settings": {"smtp": smtp, "branding": branding}})).await;
    mailing.world.register("acme", "ann@example.com").await;
    mailing.world.register("local", "ann@example.com").await;
    let other = mailing.delivered(1).await.remove(0);
    assert_eq!(other.header("From"), "Example <no-reply@id.example>");
    until("the tenant's mail to arrive", || async { own.mails().len() == 1 }).await;
    let mail = own.mails().remove(0);
    assert_eq!(mail.header("From"), "Acme <accounts@acme.example>");
    assert_eq!(mail.login.as_deref(), Some(":acme:own-secret"));
    assert!(mail.part("text/html").contains("background:#aa0000"));
    mailing.end().await;
}

/// S108: no name, branding or template value begins a header, and HTML stays text.
#[tokio::test]
async fn nothing_from_outside_becomes_a_header_or_html() {
    let mailing = Mailing::new().await;
    let evil = "Acme\u{2028}Bcc: victim@example.com <script>alert(1)</script>";
    mailing.world.put_tenant("acme", json!({"settings": {"branding": {"displayName": evil}}})).await;
    let mut body = asked("ann@example.com");
    body["password"] = json!(PASSWORD);
    body["given_name"] = json!("Ann\u{2029}<b>Lee</b>\u{85}Bcc: victim@example.com");
    let answer = mailing.world.post("/v1/auth/register", &body).await;
    // Some of these are refused at the edge already; then the rest is what can get in.
    if answer.status == 422 {
        body["given_name"] = json!("Ann <b>Lee</b> Bcc: victim@example.com");
        assert_eq!(mailing.world.post("/v1/auth/register", &body).await.status, 201);
    }
    let first = mailing.delivered(1).await.remove(0);
    assert!(
        !first.data.contains("Lee"),
        "whoever has not shown that the address is theirs writes nothing: {}",
        first.data
    );
    mailing.world.sql("UPDATE users SET email_verified = true").await;
    mailing.forgot("ann@example.com").await;
    let mail = mailing.delivered(2).await.remove(1);
    assert_eq!(
        mail.header_names(),
        ["Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type"]
    );
    assert_eq!(mail.to.len(), 1);
    let html = mail.part("text/html");
    assert!(!html.contains("<script") && !html.contains("<b>Lee"), "{html}");
    assert!(html.contains("&lt;script&gt;") && html.contains("&lt;b&gt;Lee"), "{html}");
    // An address that would is none.
    for bad in
        ["ann@example.com\r\nBcc: v@example.com", "ann@example.com\nRCPT TO:<v@example.com>", "<a@b.example>"]
    {
        let answer = mailing.world.post("/v1/auth/forgot", &asked(bad)).await;
        assert_eq!(answer.errors(), ["email: invalid_email"], "{bad:?}");
    }
    mailing.end().await;
}

/// S70: whatever a request says about hosts, links begin with EMAIL_BASE_URL.
#[tokio::test]
async fn a_link_never_begins_with_what_a_request_says() {
    let mailing = Mailing::with(&[("EMAIL_BASE_URL", "https://login.acme.example/auth")]).await;
    mailing.world.register("acme", "ann@example.com").await;
    mailing.delivered(1).await;
    let mut request = call("POST", "/v1/auth/forgot", None, &asked("ann@example.com").to_string());
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "https://evil.example/"),
        ("x-rewrite-url", "https://evil.example/"),
        ("x-host", "evil.example"),
        ("x-forwarded-server", "evil.example"),
        ("forwarded", "host=evil.example;proto=http"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(mailing.world.send(request).await.status, 202);
    let mail = mailing.delivered(2).await.remove(1);
    assert!(
        mail.link().starts_with("https://login.acme.example/auth/reset?token=hjl_acme."),
        "{}",
        mail.link()
    );
    assert!(!mail.data.contains("evil"), "{}", mail.data);
    // The browser's way from the API to the page names no host at all.
    let token = mail.token();
    let mut request = accepting(&format!("/v1/auth/verify-email?token={token}"), "text/html");
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    let answer = mailing.world.send(request).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some(format!("/verify-email?token={token}").as_str()));
    mailing.end().await;
}

/// Templates of one's own are used, in the language of one's choice.
#[tokio::test]
async fn templates_of_a_directory_are_used() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("reset.subject.txt"), "Neues Kennwort für {{ app }}").unwrap();
    std::fs::write(directory.path().join("reset.txt"), "Hier: {{ link }}\n").unwrap();
    let path = directory.path().to_string_lossy().into_owned();
    let mailing = Mailing::with(&[("EMAIL_TEMPLATES_DIR", &path)]).await;
    mailing.world.register("acme", "ann@example.com").await;
    mailing.forgot("ann@example.com").await;
    let mails = mailing.delivered(2).await;
    let mail = mails.iter().find(|mail| mail.data.contains("reset?token")).unwrap();
    assert!(mail.part("text/plain").starts_with("Hier: https://id.example/reset?token="));
    assert!(mail.header("Subject").starts_with("Neues Kennwort =?utf-8?"), "{}", mail.header("Subject"));
    mailing.end().await;
}

/// A login from something new is told of; the first one ever, and the same again, are not.
#[tokio::test]
async fn a_login_from_a_new_device_is_told_of() {
    let mailing = Mailing::new().await;
    let world = &mailing.world;
    world.register("acme", "ann@example.com").await;
    mailing.delivered(1).await;
    let login = async |agent: &str| {
        let mut body = asked("ann@example.com");
        body["password"] = json!(PASSWORD);
        let mut request = call("POST", "/v1/auth/login", None, &body.to_string());
        request.headers_mut().insert("user-agent", agent.parse().unwrap());
        assert_eq!(world.send(request).await.status, 200);
    };
    login("Opera").await;
    login("Lynx").await;
    assert_eq!(mailing.waiting().await, 0, "nothing to an address that is not verified");
    world.sql("UPDATE users SET email_verified = true").await;
    login("Firefox/139.0 (Linux)").await;
    login("Firefox/140.1 (Linux)").await;
    assert_eq!(mailing.waiting().await, 0, "the first device, and its update");
    login("curl/8.5 <script>").await;
    let mail = mailing.delivered(2).await.remove(1);
    assert_eq!(mail.header("Subject"), "New login to your account at acme");
    assert!(mail.part("text/plain").contains("curl/8.5 <script>"));
    assert!(mail.part("text/html").contains("curl&#x2f;8.5 &lt;script&gt;"), "{}", mail.part("text/html"));
    assert!(!mail.part("text/plain").contains("token="), "no link that would change anything");
    login("curl/8.6 <script>").await;
    world.clock.advance(Duration::from_secs(181 * 86_400));
    login("Firefox/150 (Linux)").await;
    assert_eq!(mailing.waiting().await, 0, "after half a year of silence every device is the first");
    mailing.end().await;
}

/// spec §8: a developer without a mail server finds the links in the log; under an https issuer nobody does.
#[tokio::test]
async fn links_are_logged_for_development_only() {
    for (issuer, logged) in [("http://localhost:8080", true), ("https://id.example", false)] {
        let env = [("EMAIL_DEBUG_LINKS", "1".to_owned()), ("JWT_ISSUER", issuer.to_owned())];
        let world = World::with(Choice { env: env.to_vec(), ..Choice::default() }).await;
        let (captured, guard) = super::audit::capture_all();
        world.register("acme", "ann@example.com").await;
        drop(guard);
        let text = captured.text();
        assert!(text.contains("security event"));
        assert_eq!(text.contains("/verify-email?token=hjl_acme."), logged, "{issuer}");
        world.end().await;
    }
}

/// Without a mail server nothing waits for ever, and nobody is told more than elsewhere.
#[tokio::test]
async fn without_a_server_nothing_is_written_to_the_outbox() {
    let world = World::new().await;
    world.session("acme", "ann@example.com").await;
    let known = world.post("/v1/auth/forgot", &asked("ann@example.com")).await;
    let unknown = world.post("/v1/auth/forgot", &asked("nobody@example.com")).await;
    assert_eq!((known.status.as_u16(), known.body.clone()), (202, unknown.body.clone()));
    assert_eq!(world.count("SELECT count(*) FROM mail_outbox").await, 0);
    world.end().await;
}
