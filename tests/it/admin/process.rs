//! The process as a whole: ports, runtimes, jobs, and a stop that joins everything.

use std::net::TcpListener;
use std::time::Duration;

use hellojohn::boot::run;
use reqwest::Client;

use crate::harness::node::{config, until};

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

async fn status(client: &Client, url: &str) -> Option<u16> {
    client.get(url).send().await.ok().map(|answer| answer.status().as_u16())
}

/// Hard promise: the jobs of a running process make the keys, and nobody has to ask for it. One test, because a
/// process has one metrics recorder.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_serves_until_it_is_stopped_and_then_ends_without_fault() {
    let root = tempfile::tempdir().unwrap();
    let (addr, metrics) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let settings = config(
        root.path(),
        &[
            ("SERVER_ADDR", &addr),
            ("METRICS_ADDR", &metrics),
            ("ALLOW_DEV_SHUTDOWN", "1"),
            ("LOG_LEVEL", "off"),
            ("HTTP_SHUTDOWN_GRACE", "5s"),
        ],
    );
    // The process installs it too; whoever comes second finds it there.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let process = std::thread::spawn(move || run(settings));
    let client = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let ready = format!("http://{addr}/readyz");
    until("the process is ready", || async { status(&client, &ready).await == Some(200) }).await;
    assert_eq!(status(&client, &format!("http://{addr}/metrics")).await, Some(404));
    let figures = client.get(format!("http://{metrics}/metrics")).send().await.unwrap().text().await.unwrap();
    for name in
        ["hellojohn_raft_term", "hellojohn_raft_role{role=\"single\"} 1", "hellojohn_http_requests_total"]
    {
        assert!(figures.contains(name), "{name} is missing in\n{figures}");
    }

    let stopped = client.post(format!("http://{addr}/__dev/shutdown")).send().await.unwrap();
    assert_eq!(stopped.status().as_u16(), 202);
    tokio::task::spawn_blocking(move || process.join().unwrap()).await.unwrap().unwrap();
    assert_eq!(status(&client, &ready).await, None, "nobody listens any more");
}
