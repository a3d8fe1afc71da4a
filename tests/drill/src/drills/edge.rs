//! F25: where an answer sends a client is decided by configuration alone.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::net::NODES;
use crate::run::Run;

/// Request targets that a careless proxy or server could turn into another host.
const TARGETS: &[&str] = &[
    "/v1/admin/tenants/probe?leader_redirect=1",
    "//evil.example/v1/admin/tenants/probe?leader_redirect=1",
    "/v1/admin/tenants/..%2f..%2f%2fevil.example?leader_redirect=1",
    "/v1/admin/tenants/probe?leader_redirect=1&next=http://evil.example/",
    "http://evil.example/v1/admin/tenants/probe?leader_redirect=1",
    "/v1/admin/tenants/probe?leader_redirect=1%0d%0aLocation:%20http://evil.example/",
    "/\\evil.example/v1/admin/tenants/probe?leader_redirect=1",
];
const HOSTS: &[&str] = &["evil.example", "evil.example:80\tx", "127.0.0.1@evil.example"];

/// Forged names never come back, and whoever follows is not sent round and round.
pub(super) fn forged(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        let follower = (leader + 1) % NODES;
        let address = run.cluster.net.http(follower);
        let token = run.cluster.directory.token(follower);
        let allowed = format!("location: {}/v1/admin/", run.cluster.directory.url(leader));
        let (mut answers, mut redirects) = (0, 0);
        for target in TARGETS {
            for host in HOSTS {
                let request = format!(
                    "PUT {target} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n\
                     Forwarded: host=evil.example\r\nX-Forwarded-Proto: https\r\n\
                     X-Original-URL: http://evil.example/\r\nAuthorization: Bearer {token}\r\n\
                     Content-Length: 16\r\nConnection: close\r\n\r\n{{\"name\":\"probe\"}}"
                );
                let Some(answer) = raw(&address, &request).await else { continue };
                answers += 1;
                let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
                let headers = head.lines().filter(|line| {
                    ["location:", "x-leader-url:", "link:", "refresh:"]
                        .iter()
                        .any(|name| line.starts_with(name))
                });
                for header in headers {
                    redirects += 1;
                    let host_of = |line: &str| {
                        line.split("//").nth(1).map(|rest| rest.split('/').next().map(str::to_owned))
                    };
                    let fits = header.starts_with(&allowed) || header.starts_with("x-leader-url:");
                    let same = host_of(header) == host_of(&allowed);
                    run.expect(
                        fits && same,
                        &format!("{target} with Host {host} leads to the leader, not: {header}"),
                    );
                }
            }
        }
        run.note(format!("{answers} answers to forged requests, {redirects} named an address"));
        run.expect(redirects > 0, "a redirect that is allowed is given");
        // Following once ends at the leader, which redirects nobody.
        let request = format!(
            "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 16\r\n\
             Connection: close\r\n\r\n{{\"name\":\"probe\"}}",
            TARGETS.first().copied().unwrap_or_default(),
            run.cluster.directory.token(leader)
        );
        let answer = raw(&run.cluster.net.http(leader), &request).await.unwrap_or_default();
        run.expect(answer.starts_with("HTTP/1.1 20"), "the leader takes the write that was sent on to it");
        elsewhere(run, follower).await?;
        sleep(Duration::from_secs(1)).await;
        Ok(())
    }
    .boxed_local()
}

/// A leader whose host is not on the list is neither redirected to nor shown.
async fn elsewhere(run: &mut Run, follower: usize) -> Result<(), String> {
    run.cluster.terminate(follower).await?;
    run.cluster.settings_mut().set_own(follower, "LEADER_REDIRECT_ALLOWED_HOSTS", "other.example");
    run.cluster.start_node(follower)?;
    run.cluster.healthy().await?;
    let request = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 16\r\nConnection: close\r\n\r\n\
         {{\"name\":\"probe\"}}",
        TARGETS.first().copied().unwrap_or_default(),
        run.cluster.directory.token(follower)
    );
    let answer = raw(&run.cluster.net.http(follower), &request).await.unwrap_or_default();
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    run.expect(head.starts_with("http/1.1 409"), "a leader outside the list is not redirected to");
    run.expect(!head.contains("x-leader-url:") && !head.contains("\nlocation:"), "nor is its address shown");
    Ok(())
}

/// Sends bytes as they are and reads until the end.
async fn raw(address: &str, request: &str) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(Duration::from_secs(5), exchange).await.ok()?
}
