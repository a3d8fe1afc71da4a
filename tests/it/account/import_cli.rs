//! `hellojohn users import` against a node on a socket. The command runs within this process.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::import::BCRYPT;
use super::world::{PASSWORD, World};

/// Statuses that imports are answered with before they get through; 0 lets one through.
pub(super) type Faults = Arc<Mutex<VecDeque<u16>>>;

async fn faulty(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let fault = match request.uri().path() {
        "/v1/admin/users/import" => faults.lock().unwrap().pop_front().unwrap_or(0),
        _ => 0,
    };
    if fault == 0 {
        return next.run(request).await;
    }
    let body = json!({"status": fault, "code": "planted", "detail": "told by the test"});
    let mut response = (StatusCode::from_u16(fault).unwrap(), body.to_string()).into_response();
    response.headers_mut().insert("retry-after", HeaderValue::from_static("0"));
    response
}

pub(super) async fn serve(router: Router, faults: &[u16]) -> (String, Faults) {
    // Refused only when there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let faults: Faults = Arc::new(Mutex::new(faults.iter().copied().collect()));
    let router = router.layer(from_fn_with_state(Arc::clone(&faults), faulty));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, faults)
}

pub(super) struct Ran {
    pub(super) code: u8,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ran {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }
}

/// Runs the command with the administrator's login, or with `bearer`.
pub(super) async fn ran(url: &str, directory: &Path, args: &str, bearer: Option<&str>) -> Ran {
    let login = [
        ("HELLOJOHN_EMAIL", "root@example.com"),
        ("HELLOJOHN_PASSWORD", PASSWORD),
        ("HELLOJOHN_CLIENT_ID", "web"),
    ];
    let bearer = bearer.map(|token| ("HELLOJOHN_BEARER", token));
    let env: Vec<_> = login.into_iter().chain(bearer).collect();
    ran_with(url, directory, args, &env).await
}

/// Runs a command that finds the node at `url`. `DIR` in its words is the directory.
pub(super) async fn ran_with(url: &str, directory: &Path, args: &str, env: &[(&str, &str)]) -> Ran {
    let env = env.iter().copied().chain([("HELLOJOHN_ADMIN_URL", url)]);
    let env: BTreeMap<String, String> =
        env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let directory = directory.to_owned();
    let args = args.replace("DIR", &directory.display().to_string());
    let args: Vec<OsString> = args.split(' ').map(OsString::from).collect();
    let run = move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = hellojohn::cli::run(args, env, directory, &mut out, &mut err);
        Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn people(count: usize) -> String {
    let line =
        |n: usize| json!({"email": format!("user{n}@example.com"), "password_hash": BCRYPT}).to_string();
    (0..count).map(|n| line(n) + "\n").collect()
}

/// Line by line, in several batches, with a report that names every line that was refused; again, nothing changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_imported_with_a_report_and_again_without_effect() {
    let world = World::new().await;
    world.admin().await;
    world.register("acme", "user7@example.com").await;
    let (url, _) = serve(world.router.clone(), &[]).await;
    let directory = tempfile::tempdir().unwrap();
    // A mark, a blank line, Windows ends; what is not acceptable stands between and after the others.
    let mut text = format!("\u{feff}no JSON\r\n{}\r\n\r\n", people(1203).trim_end().replace('\n', "\r\n"));
    text.push_str("{\"email\": \"planted@example.com\", \"email\": \"planted\"}\n");
    text.push_str("not JSON, planted\n");
    text.push_str(&format!("{{\"email\": \"{}\"}}\n", "x".repeat(70_000)));
    text.push_str("{\"email\": \"z@example.com\", \"is_admin\": true, \"password_hash\": \"planted\"}");
    std::fs::write(directory.path().join("users.jsonl"), text).unwrap();

    let command =
        "hellojohn users import DIR/users.jsonl --tenant acme --report DIR/refused.jsonl --output json";
    let first = ran(&url, directory.path(), command, None).await;
    assert_eq!((first.code, first.err.as_str()), (1, ""), "{}", first.out);
    let path = directory.path().join("refused.jsonl");
    let counts = |created: u64, unchanged: u64| {
        json!({"lines": 1208, "created": created, "unchanged": unchanged, "refused": 6, "dry_run": false,
            "report": path.display().to_string()})
    };
    assert_eq!(first.json(), counts(1202, 0));
    let report = std::fs::read_to_string(&path).unwrap();
    let refused: Vec<(u64, String, String)> = report
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap().to_owned();
            (it["line"].as_u64().unwrap(), text("field"), text("code"))
        })
        .collect();
    let expected = [
        (1, "", "malformed_json"),
        (9, "email", "email_taken"),
        (1206, "", "malformed_json"),
        (1207, "", "malformed_json"),
        (1208, "", "line_too_long"),
        (1209, "is_admin", "unknown_field"),
    ];
    assert_eq!(refused, expected.map(|(line, field, code)| (line, field.to_owned(), code.to_owned())));
    assert!(!report.contains("planted") && !report.contains("$2b$"), "{report}");
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 1203);
    world.login("acme", "user1202@example.com").await;

    let again = ran(&url, directory.path(), command, None).await;
    assert_eq!((again.code, again.json()), (1, counts(0, 1202)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report);
    world.login("acme", "user1202@example.com").await;
    world.end().await;
}

/// For people: the summary on standard output, refused lines on standard error; a dry run makes nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_people_what_would_become_of_each_line() {
    let world = World::new().await;
    world.admin().await;
    let (url, _) = serve(world.router.clone(), &[]).await;
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{}{{\"email\": \"nobody\"}}\n", people(2));
    std::fs::write(directory.path().join("users.jsonl"), text).unwrap();
    let command = "hellojohn users import DIR/users.jsonl --tenant acme";
    let check = ran(&url, directory.path(), &format!("{command} --dry-run"), None).await;
    assert_eq!(check.code, 1);
    assert_eq!(
        check.out,
        "lines             3\nwould be created  2\nunchanged         0\nwould be refused  1\n"
    );
    assert!(
        check.err.starts_with("line 3: email: ") && check.err.ends_with("[invalid_email]\n"),
        "{}",
        check.err
    );
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 0);

    std::fs::write(directory.path().join("users.jsonl"), people(2)).unwrap();
    let done = ran(&url, directory.path(), command, None).await;
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!(done.out, "lines      2\ncreated    2\nunchanged  0\nrefused    0\n");

    for (args, code, told) in [
        ("DIR/users.jsonl --tenant nobody", 1, "[tenant_not_found]"),
        ("DIR/absent.jsonl --tenant acme", 2, "cannot read"),
        ("DIR/users.jsonl --tenant acme --report DIR/users.jsonl", 2, "--report names the file"),
        ("DIR/users.jsonl --tenant acme --batch 501", 2, "501"),
    ] {
        let ran = ran(&url, directory.path(), &format!("hellojohn users import {args}"), None).await;
        assert_eq!(ran.code, code, "{args}: {}", ran.err);
        assert!(ran.err.contains(told), "{args}: {}", ran.err);
    }
    assert_eq!(std::fs::read_to_string(directory.path().join("users.jsonl")).unwrap(), people(2));
    world.end().await;
}

/// What passes is waited for, a token that ends is renewed by the login, and a body that is too large is sent in parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_gets_over_what_passes() {
    let world = World::new().await;
    let bearer = world.admin().await;
    let (url, faults) = serve(world.router.clone(), &[503, 0, 429, 401, 502]).await;
    let directory = tempfile::tempdir().unwrap();
    // Routes in tests take bodies of 256 KiB; a batch of these has more.
    let line = |n: usize| {
        json!({"email": format!("user{n}@example.com"), "custom": {"notes": "x".repeat(1_500)}}).to_string()
    };
    let text: String = (0..600).map(|n| line(n) + "\n").collect();
    std::fs::write(directory.path().join("users.jsonl"), text).unwrap();
    let command = "hellojohn users import DIR/users.jsonl --tenant acme --output json";
    let done = ran(&url, directory.path(), command, None).await;
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.json()["created"], 600);
    assert!(faults.lock().unwrap().is_empty());

    // Nothing but a token was given: it is told where it stopped, and the next run goes on from there.
    faults.lock().unwrap().extend([0, 0, 401]);
    let cut = ran(&url, directory.path(), &format!("{command} --batch 100"), Some(&bearer)).await;
    assert_eq!((cut.code, cut.out.as_str()), (3, ""));
    let error: Value = serde_json::from_str(&cut.err).unwrap();
    let what = error["error"]["what"].as_str().unwrap();
    assert!(what.starts_with("cannot import line 201 and those after it: "), "{what}");
    assert!(cut.err.contains("before that: 0 created, 200 unchanged, 0 refused"), "{}", cut.err);
    assert!(!cut.err.contains(&bearer));
    world.end().await;
}
