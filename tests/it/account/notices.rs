//! What the owner of an account is told of logins, and how often (S61).

use std::time::Duration;

use hellojohn::domain::clock::Clock as _;
use serde_json::json;

use super::mail::{Mailing, asked};
use super::world::{PASSWORD, call};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// When the mail goes that waits longest.
const LAST_DUE: &str = "SELECT extract(epoch FROM max(next_attempt_at))::bigint FROM mail_outbox";

impl Mailing {
    /// A world with somebody whose address is verified, and who was told of that.
    async fn with_ann() -> Self {
        let mailing = Self::new().await;
        mailing.world.register("acme", "ann@example.com").await;
        mailing.delivered(1).await;
        mailing.world.sql("UPDATE users SET email_verified = true").await;
        mailing
    }

    async fn login_with(&self, agent: &str) {
        let mut body = asked("ann@example.com");
        body["password"] = json!(PASSWORD);
        let mut request = call("POST", "/v1/auth/login", None, &body.to_string());
        request.headers_mut().insert("user-agent", agent.parse().unwrap());
        let answer = self.world.send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Waits for so many mails in all; gives the last one's text. Others may wait for their time.
    async fn told(&self, count: usize) -> String {
        self.tending("the notice to arrive", async || self.sink.mails().len() >= count).await;
        let mails = self.sink.mails();
        assert_eq!(mails.len(), count, "{mails:?}");
        mails[count - 1].part("text/plain")
    }
}

/// A script with ever other names does not bury the owner in mails, and whoever comes in its wake is not hidden by it: the
/// first notice goes at once, the next when the pause is over, and a device that was passed over is new at its next login.
#[tokio::test]
async fn the_owner_is_told_of_new_devices_at_once_and_then_once_an_hour() {
    let mailing = Mailing::with_ann().await;
    let world = &mailing.world;
    mailing.login_with("Opera").await;
    for name in ["one", "two", "three", "four", "five"] {
        mailing.login_with(&format!("script {name}")).await;
    }
    let began = world.clock.now();
    assert_eq!(mailing.waiting().await, 2, "one for now and one for later");
    assert_eq!(world.count(LAST_DUE).await, began.plus(HOUR).secs());
    assert!(mailing.told(2).await.contains("script one"));
    assert_eq!(mailing.waiting().await, 1);
    assert_eq!(
        world.count("SELECT count(*) FROM known_devices").await,
        3,
        "Opera and those that are told of"
    );

    world.clock.advance(HOUR);
    assert!(mailing.told(3).await.contains("script two"));
    mailing.login_with("script one").await;
    assert_eq!(mailing.waiting().await, 0, "known by now");
    mailing.login_with("script five").await;
    assert_eq!(world.count(LAST_DUE).await, began.plus(2 * HOUR).secs(), "passed over before");
    world.clock.advance(HOUR);
    assert!(mailing.told(4).await.contains("script five"));

    world.clock.advance(2 * HOUR);
    mailing.login_with("script six").await;
    assert_eq!(world.count(LAST_DUE).await, world.clock.now().secs(), "after a quiet hour at once again");
    assert!(mailing.told(5).await.contains("script six"));
    mailing.end().await;
}

/// A node whose clock was wrong for a while does not silence notices until the time that it thought it was.
#[tokio::test]
async fn a_notice_of_a_wrong_clock_silences_none() {
    let mailing = Mailing::with_ann().await;
    let world = &mailing.world;
    mailing.login_with("Opera").await;
    mailing.login_with("script one").await;
    assert!(mailing.told(2).await.contains("script one"));
    world.sql("UPDATE users SET device_notice_at = device_notice_at + interval '30 days'").await;
    mailing.login_with("script two").await;
    assert_eq!(world.count(LAST_DUE).await, world.clock.now().secs());
    assert!(mailing.told(3).await.contains("script two"));
    mailing.end().await;
}

/// Of two logins at once from two new devices, at two nodes, one is told of now and one later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_logins_share_the_pause() {
    let mailing = Mailing::with_ann().await;
    mailing.login_with("Opera").await;
    let names = ["a", "b", "c", "d", "e", "f"].map(|name| format!("script {name}"));
    futures::future::join_all(names.iter().map(|name| mailing.login_with(name))).await;
    assert_eq!(mailing.world.count("SELECT count(*) FROM mail_outbox WHERE kind = 'new_device'").await, 2);
    assert_eq!(mailing.world.count(LAST_DUE).await, mailing.world.clock.now().plus(HOUR).secs());
    mailing.end().await;
}

/// The 50 devices are remembered that were seen last.
#[tokio::test]
async fn an_account_remembers_the_devices_that_were_seen_last() {
    let mailing = Mailing::with_ann().await;
    let world = &mailing.world;
    let names: Vec<String> =
        ('a'..='z').flat_map(|one| ['x', 'y'].map(|two| format!("{one}{two}"))).collect();
    assert_eq!(names.len(), 52);
    for name in &names {
        mailing.login_with(name).await;
        world.clock.advance(2 * HOUR);
    }
    assert_eq!(world.count("SELECT count(*) FROM known_devices").await, 50);
    let notices = "SELECT count(*) FROM mail_outbox WHERE kind = 'new_device'";
    assert_eq!(world.count(notices).await, 51);
    mailing.login_with(&names[2]).await;
    assert_eq!(world.count(notices).await, 51, "the oldest that is remembered");
    mailing.login_with(&names[1]).await;
    assert_eq!(world.count(notices).await, 52, "forgotten, and new again");
    mailing.end().await;
}
