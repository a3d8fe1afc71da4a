//! openraft's messages over a real connection, with a handler in the place of the Raft core.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, StoredMembership};

use super::super::{
    AddressBook, ClientLimits, Hello, LocalNode, PeerHandler, PeerServer, Refusal, Seat, Security,
    ServerLimits,
};
use super::*;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    name: String,
}

impl PeerNamed for Member {
    fn peer_name(&self) -> &str {
        &self.name
    }
}

openraft::declare_raft_types!(
    pub(super) Types:
        D = String,
        R = String,
        NodeId = u64,
        Node = Member,
        SnapshotData = Cursor<Vec<u8>>,
);

pub(super) const LONG: Duration = Duration::from_secs(20);

/// Remembers requests as decoded, and answers like a Raft core that has seen a higher vote.
#[derive(Default)]
struct Core {
    appended: Mutex<Vec<AppendEntriesRequest<Types>>>,
    installed: Mutex<Vec<InstallSnapshotRequest<Types>>>,
}

impl PeerHandler for Core {
    fn admit(&self, _peer: &Hello) -> Result<(), Refusal> {
        Ok(())
    }

    fn call<'a>(
        &'a self,
        _peer: &'a Hello,
        kind: RpcKind,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, RpcFailure>> {
        async move {
            match kind {
                RpcKind::Append => {
                    self.appended.lock().unwrap().push(decode_json(&payload)?);
                    let vote = AppendEntriesResponse::HigherVote(Vote::new(9, 2));
                    encode_json(&Ok::<_, RaftError<u64>>(vote))
                }
                RpcKind::Vote => {
                    let fatal = RaftError::Fatal(openraft::error::Fatal::Stopped);
                    encode_json(&Err::<VoteResponse<u64>, RaftError<u64>>(fatal))
                }
                RpcKind::InstallSnapshot => {
                    self.installed.lock().unwrap().push(decode_chunk(payload)?);
                    let answer = InstallSnapshotResponse { vote: Vote::new(3, 1) };
                    encode_json(&Ok::<_, RaftError<u64, InstallSnapshotError>>(answer))
                }
                RpcKind::Probe
                | RpcKind::Promise
                | RpcKind::AppliedIndex
                | RpcKind::PreVote
                | RpcKind::Alive
                | RpcKind::Join
                | RpcKind::Stand
                | RpcKind::ReadIndex
                | RpcKind::TurnDown
                | RpcKind::Forward => Err(RpcFailure::UnknownKind { kind: kind.number() }),
            }
        }
        .boxed()
    }
}

fn node(name: &str) -> Arc<LocalNode> {
    let node = LocalNode::new(name, "test", BTreeMap::new());
    let raft_id = if name == "n2" { 2 } else { 1 };
    node.take_seat(Some(Seat { cluster_id: "c".to_owned(), raft_id }));
    Arc::new(node)
}

pub(super) async fn serve(handler: Arc<dyn PeerHandler>) -> PeerServer {
    let limits = ServerLimits::default();
    PeerServer::bind("127.0.0.1:0", node("n2"), Security::PlainLoopback, handler, limits).await.unwrap()
}

pub(super) async fn link(addr: &str) -> PeerLink {
    let book = AddressBook::new(BTreeMap::from([("n2".to_owned(), addr.to_owned())]));
    let dialer = Dialer::new(node("n1"), Security::PlainLoopback, book, ClientLimits::default());
    let mut network = PeerNetwork::new(1, dialer, Arc::default(), Arc::default());
    let member = Member { name: "n2".to_owned() };
    RaftNetworkFactory::<Types>::new_client(&mut network, 2, &member).await
}

fn append(entries: u64) -> AppendEntriesRequest<Types> {
    let log_id = |index| LogId::new(CommittedLeaderId::new(3, 1), index);
    AppendEntriesRequest {
        vote: Vote::new_committed(3, 1),
        prev_log_id: Some(log_id(4)),
        entries: (0..entries)
            .map(|n| Entry { log_id: log_id(5 + n), payload: EntryPayload::Normal(format!("entry {n}")) })
            .collect(),
        leader_commit: Some(log_id(4)),
    }
}

#[tokio::test]
async fn an_append_arrives_as_sent_and_its_answer_comes_back() {
    let core = Arc::new(Core::default());
    let server = serve(Arc::<Core>::clone(&core)).await;
    let mut link = link(&server.local_addr().to_string()).await;
    let sent = append(2);
    let answer =
        RaftNetwork::<Types>::append_entries(&mut link, sent.clone(), RPCOption::new(LONG)).await.unwrap();
    assert_eq!(answer, AppendEntriesResponse::HigherVote(Vote::new(9, 2)));
    let seen = core.appended.lock().unwrap().pop().unwrap();
    assert_eq!(format!("{seen:?}"), format!("{sent:?}"));
}

#[tokio::test]
async fn an_error_of_the_remote_core_stays_a_remote_error() {
    let core = Arc::new(Core::default());
    let server = serve(Arc::<Core>::clone(&core)).await;
    let mut link = link(&server.local_addr().to_string()).await;
    let request = VoteRequest::new(Vote::new(4, 1), None);
    let error = RaftNetwork::<Types>::vote(&mut link, request, RPCOption::new(LONG)).await.unwrap_err();
    assert!(matches!(&error, RPCError::RemoteError(remote) if remote.target == 2), "{error}");
}

#[tokio::test]
async fn a_snapshot_chunk_travels_as_raw_bytes() {
    let core = Arc::new(Core::default());
    let server = serve(Arc::<Core>::clone(&core)).await;
    let mut link = link(&server.local_addr().to_string()).await;
    let chunk = InstallSnapshotRequest::<Types> {
        vote: Vote::new_committed(3, 1),
        meta: SnapshotMeta {
            last_log_id: Some(LogId::new(CommittedLeaderId::new(3, 1), 9)),
            last_membership: StoredMembership::default(),
            snapshot_id: "s-1".to_owned(),
        },
        offset: 1 << 20,
        data: (0..=u8::MAX).cycle().take(1 << 20).collect(),
        done: true,
    };
    let encoded = encode_chunk(chunk.clone()).unwrap();
    assert!(encoded.len() < (1 << 20) + 1024, "{}", encoded.len());
    let answer =
        RaftNetwork::<Types>::install_snapshot(&mut link, chunk.clone(), RPCOption::new(LONG)).await.unwrap();
    assert_eq!(answer.vote, Vote::new(3, 1));
    assert_eq!(core.installed.lock().unwrap().pop().unwrap(), chunk);
}

#[test]
fn a_cut_chunk_is_a_bad_request() {
    for bytes in [&[][..], &[0, 0], &[0, 0, 0, 9, b'{'], &[0xff, 0xff, 0xff, 0xff]] {
        let error = decode_chunk::<Types>(Bytes::copy_from_slice(bytes)).unwrap_err();
        assert!(matches!(error, RpcFailure::BadRequest { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_dead_peer_is_unreachable_so_that_the_core_backs_off() {
    let core = Arc::new(Core::default());
    let server = serve(Arc::<Core>::clone(&core)).await;
    let addr = server.local_addr().to_string();
    server.shutdown(LONG).await;
    let mut link = link(&addr).await;
    let error =
        RaftNetwork::<Types>::append_entries(&mut link, append(1), RPCOption::new(LONG)).await.unwrap_err();
    assert!(matches!(error, RPCError::Unreachable(_)), "{error}");
    let waits: Vec<_> = RaftNetwork::<Types>::backoff(&link).take(50).collect();
    assert!(waits.iter().all(|wait| *wait <= BackoffPolicy::default().max), "{waits:?}");
}

#[test]
fn an_append_too_large_for_a_frame_is_split() {
    let limit = super::super::frame::MAX_FRAME - super::super::frame::HEAD;
    assert_eq!(fewer_entries(limit, 100), None);
    assert_eq!(fewer_entries(limit + 1, 100), Some(33));
    assert_eq!(fewer_entries(limit * 10, 4), Some(1));
    assert_eq!(fewer_entries(limit * 10, 1), None, "one entry cannot be split");
}

#[tokio::test]
async fn clients_of_one_member_share_their_lanes() {
    let book = AddressBook::default();
    let dialer = Dialer::new(node("n1"), Security::PlainLoopback, book, ClientLimits::default());
    let mut network = PeerNetwork::new(1, dialer, Arc::default(), Arc::default());
    let member = Member { name: "n2".to_owned() };
    let first = RaftNetworkFactory::<Types>::new_client(&mut network, 2, &member).await;
    let again = RaftNetworkFactory::<Types>::new_client(&mut network, 2, &member).await;
    assert!(Arc::ptr_eq(&first.lanes, &again.lanes));
    let successor = RaftNetworkFactory::<Types>::new_client(&mut network, 5, &member).await;
    assert!(!Arc::ptr_eq(&first.lanes, &successor.lanes), "the name came back as somebody else");
    assert_eq!((first.target, successor.target), (2, 5));
}
