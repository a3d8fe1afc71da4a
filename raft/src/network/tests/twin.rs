//! Calls over two connections, and connections of which some questions are never answered.

use tokio::net::{TcpListener, TcpStream};

use super::frame::{Frame, ReadTimes, Tag, read_frame, write_frame};
use super::*;
use crate::network::twin::Twin;

/// Holds back the answers to some questions.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    /// The first answer waits for the second question, and the second is never given.
    wakes_the_first: bool,
    second: Notify,
}

impl PeerHandler for Slow {
    fn admit(&self, _peer: &Hello) -> Result<(), Refusal> {
        Ok(())
    }

    fn call<'a>(
        &'a self,
        _peer: &'a Hello,
        _kind: RpcKind,
        _payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, RpcFailure>> {
        async move {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            match (number, self.wakes_the_first) {
                (0, true) => self.second.notified().await,
                (1, true) => {
                    self.second.notify_one();
                    std::future::pending::<()>().await;
                }
                (0, false) => std::future::pending().await,
                (_, _) => {}
            }
            Ok(Bytes::from(number.to_string()))
        }
        .boxed()
    }
}

async fn twin_of(slow: &Arc<Slow>) -> (Twin, PeerServer) {
    let handler: Arc<dyn PeerHandler> = Arc::<Slow>::clone(slow);
    let limits = ServerLimits::default();
    let security = Security::PlainLoopback;
    let server =
        PeerServer::bind("127.0.0.1:0", local("n2", Some("c")), security.clone(), handler, limits).await;
    let server = server.unwrap();
    let dialer = dialer(security, &book(&server));
    (Twin::new([dialer.client("n2"), dialer.client("n2")]), server)
}

async fn append(twin: &Twin) -> Result<Bytes, CallError> {
    twin.call(RpcKind::Append, Bytes::from_static(b"entries"), LONG).await
}

#[tokio::test]
async fn a_call_without_an_answer_is_made_again_over_the_other_connection() {
    let slow = Arc::new(Slow::default());
    let (twin, server) = twin_of(&slow).await;
    assert_eq!(append(&twin).await.unwrap(), "1", "the first is stuck in front of everything behind it");
    for _ in 0..20 {
        assert_ne!(append(&twin).await.unwrap(), "0");
    }
    server.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn after_a_call_too_short_to_be_made_again_the_next_begins_with_the_other_connection() {
    let slow = Arc::new(Slow::default());
    let (twin, server) = twin_of(&slow).await;
    let mut answered = false;
    for _ in 0..20 {
        let brief = twin.call(RpcKind::Append, Bytes::from_static(b"entries"), Duration::from_millis(100));
        answered |= brief.await.is_ok();
    }
    assert!(answered, "the connection that is stuck was asked each time");
    server.shutdown(Duration::ZERO).await;
}

/// Otherwise a peer whose disk takes longer than the wait would be asked for ever.
#[tokio::test]
async fn the_answer_to_the_first_question_counts_when_it_comes_after_the_second_was_asked() {
    let slow = Arc::new(Slow { wakes_the_first: true, ..Slow::default() });
    let (twin, server) = twin_of(&slow).await;
    assert_eq!(append(&twin).await.unwrap(), "0");
    server.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_peer_that_answers_nothing_costs_the_time_allowed_and_no_more() {
    let dialer = dialer(Security::PlainLoopback, &forgetful().await);
    let twin = Twin::new([dialer.client("n2"), dialer.client("n2")]);
    let (began, within) = (tokio::time::Instant::now(), Duration::from_millis(500));
    let asked = twin.call(RpcKind::Append, Bytes::from_static(b"forget"), within);
    assert_eq!(tokio::time::timeout(LONG, asked).await.unwrap().unwrap_err(), CallError::Timeout);
    assert!(began.elapsed() >= within);
    let again = twin.call(RpcKind::Append, Bytes::from_static(b"answer"), LONG);
    assert_eq!(again.await.unwrap(), "answer");
}

/// A peer over a link that loses messages: it answers when the question says so.
async fn forgetful() -> AddressBook {
    async fn converse(mut tcp: TcpStream) -> Option<()> {
        let times = ReadTimes { idle: LONG, whole: LONG };
        read_frame(&mut tcp, HELLO_LIMIT, times).await.ok()?;
        let hello = serde_json::to_vec(&local("n2", Some("c")).hello("n1")).ok()?;
        write_frame(&mut tcp, Frame::control(Tag::Hello, hello.into()), HELLO_LIMIT, LONG).await.ok()?;
        loop {
            let asked = read_frame(&mut tcp, MAX_FRAME, times).await.ok()?;
            if asked.payload != "forget" {
                let answer = Frame { tag: Tag::Answer, id: asked.id, payload: asked.payload };
                write_frame(&mut tcp, answer, MAX_FRAME, LONG).await.ok()?;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(converse(tcp));
        }
    });
    AddressBook::new(BTreeMap::from([("n2".to_owned(), address)]))
}

#[tokio::test]
async fn a_question_that_was_passed_over_is_told_at_once() {
    let client = Arc::new(dialer(Security::PlainLoopback, &forgetful().await).client("n2"));
    let forgotten = tokio::spawn({
        let client = Arc::clone(&client);
        async move { ask(&client, "forget").await }
    });
    // However the two came in, there is one after the forgotten one in the end.
    eventually("the forgotten question has ended", async || {
        assert_eq!(ask(&client, "later").await.unwrap(), "later");
        forgotten.is_finished()
    })
    .await;
    let error = forgotten.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
    assert_eq!(ask(&client, "still there").await.unwrap(), "still there");
}

/// A connection remembers no more than 256 questions without an answer.
#[tokio::test]
async fn questions_that_were_never_answered_do_not_fill_a_connection() {
    let limits = ClientLimits { stall: LONG, ..ClientLimits::default() };
    let addresses = forgetful().await;
    let client = Dialer::new(local("n1", Some("c")), Security::PlainLoopback, addresses, limits).client("n2");
    for round in 0..4 {
        for _ in 0..100 {
            let forget = client.call(RpcKind::Probe, Bytes::from_static(b"forget"), Duration::from_millis(2));
            assert!(forget.await.is_err());
        }
        assert_eq!(ask(&client, "answer").await.unwrap(), "answer", "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_made_at_once_each_get_their_answer() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = Arc::new(dialer(Security::PlainLoopback, &book(&server)).client("n2"));
    let calls = (0..200).map(|number: u32| {
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            let sent = Bytes::from(number.to_string());
            assert_eq!(client.call(RpcKind::Probe, sent.clone(), LONG).await.unwrap(), sent);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(echo.admitted(), 1);
}
