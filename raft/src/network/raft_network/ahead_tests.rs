use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use openraft::network::{RPCOption, RaftNetwork};
use openraft::raft::AppendEntriesRequest;
use openraft::{CommittedLeaderId, Entry, EntryPayload};
use tokio::sync::Semaphore;

use super::super::tests::{LONG, Types, link, serve};
use super::super::{PeerLink, decode_json};
use super::*;
use crate::network::{Hello, PeerHandler, PeerServer, Refusal};

type Request = AppendEntriesRequest<Types>;
type Answer = AppendEntriesResponse<u64>;

const TERM: u64 = 3;

fn id(index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(TERM, 1), index)
}

fn entry(index: u64) -> Entry<Types> {
    Entry { log_id: id(index), payload: EntryPayload::Normal(format!("entry {index}")) }
}

fn appended(indexes: impl IntoIterator<Item = u64>) -> Vec<Appended> {
    let json = |index| serde_json::to_vec(&entry(index)).unwrap().into();
    indexes.into_iter().map(|index| Appended { log_id: id(index), json: json(index) }).collect()
}

/// What openraft asks for when the leader's disk has the entries.
fn request(before: u64, entries: impl IntoIterator<Item = u64>) -> Request {
    AppendEntriesRequest {
        vote: Vote::new_committed(TERM, 1),
        prev_log_id: Some(id(before)),
        entries: entries.into_iter().map(entry).collect(),
        leader_commit: Some(id(before)),
    }
}

/// Answers appends as it is told, once it is let.
struct Follower {
    seen: Mutex<Vec<Request>>,
    /// The higher vote that it has seen.
    higher: Mutex<Option<Vote<u64>>>,
    leave: Semaphore,
}

impl Follower {
    fn new(leave: usize) -> Arc<Self> {
        let (seen, higher) = (Mutex::default(), Mutex::default());
        Arc::new(Self { seen, higher, leave: Semaphore::new(leave) })
    }

    /// First and last index of the entries of each append that came, in their order.
    fn ranges(&self) -> Vec<Option<(u64, u64)>> {
        let range = |request: &Request| {
            Some((request.entries.first()?.log_id.index, request.entries.last()?.log_id.index))
        };
        self.seen.lock().unwrap().iter().map(range).collect()
    }

    async fn has_seen(&self, appends: usize) {
        let deadline = Instant::now() + LONG;
        while self.seen.lock().unwrap().len() < appends {
            assert!(Instant::now() < deadline, "{:?}", self.ranges());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl PeerHandler for Follower {
    fn admit(&self, _peer: &Hello) -> Result<(), Refusal> {
        Ok(())
    }

    fn call<'a>(
        &'a self,
        _peer: &'a Hello,
        _kind: RpcKind,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, RpcFailure>> {
        async move {
            self.seen.lock().unwrap().push(decode_json(&payload)?);
            self.leave.acquire().await.unwrap().forget();
            let higher = *self.higher.lock().unwrap();
            let answer = higher.map_or(AppendEntriesResponse::Success, AppendEntriesResponse::HigherVote);
            encode_json(&Ok::<_, RaftError<u64>>(answer))
        }
        .boxed()
    }
}

async fn follow(follower: &Arc<Follower>) -> (PeerServer, PeerLink) {
    let handler: Arc<dyn PeerHandler> = Arc::<Follower>::clone(follower);
    let server = serve(handler).await;
    let link = link(&server.local_addr().to_string()).await;
    (server, link)
}

async fn ask(link: &mut PeerLink, request: Request) -> Answer {
    RaftNetwork::<Types>::append_entries(link, request, RPCOption::new(LONG)).await.unwrap()
}

fn tell(link: &PeerLink, entries: Vec<Appended>) {
    Arc::clone(&link.ahead).appended(entries);
}

#[test]
fn an_early_append_is_openrafts_own() {
    let entries = appended(5..8);
    let (payload, last) = encode(Vote::new_committed(TERM, 1), id(4), entries.iter()).unwrap();
    assert_eq!(last, id(7));
    let decoded: Request = decode_json(&payload).unwrap();
    let meant = AppendEntriesRequest { leader_commit: None, ..request(4, 5..8) };
    assert_eq!(format!("{decoded:?}"), format!("{meant:?}"));
}

#[test]
fn only_entries_without_a_gap_and_of_one_leader_are_kept_and_not_too_many() {
    let (vote, mut recent) = (Vote::new_committed(TERM, 1), Recent::default());
    let after = |recent: &Recent, vote, matched| {
        recent.after(vote, id(matched)).map(|entry| entry.log_id.index).collect::<Vec<_>>()
    };
    appended(5..8).into_iter().for_each(|entry| recent.push(entry));
    assert_eq!(after(&recent, vote, 4), [5, 6, 7]);
    assert_eq!(after(&recent, vote, 6), [7]);
    assert!(after(&recent, vote, 7).is_empty());
    assert!(after(&recent, vote, 3).is_empty(), "entry 4 is not here");
    assert!(after(&recent, Vote::new_committed(TERM, 2), 4).is_empty(), "another leader's");
    recent.push(appended([9]).remove(0));
    assert_eq!(after(&recent, vote, 8), [9]);
    assert!(after(&recent, vote, 6).is_empty(), "what was before the gap is gone");
    let later = LogId::new(CommittedLeaderId::new(TERM + 1, 1), 10);
    recent.push(Appended { log_id: later, json: Bytes::from_static(b"{}") });
    assert!(after(&recent, vote, 8).is_empty());

    appended(20..4_000).into_iter().for_each(|entry| recent.push(entry));
    assert_eq!(recent.entries.len(), MAX_RECENT);
    assert_eq!(after(&recent, vote, 3_500).len(), MAX_ENTRIES);
    let large = Bytes::from(vec![b' '; MAX_BYTES + 1]);
    for index in 4_000..4_010 {
        recent.push(Appended { log_id: id(index), json: large.clone() });
    }
    assert!(recent.bytes <= MAX_RECENT_BYTES);
    assert!(after(&recent, vote, 4_008).is_empty(), "a large entry takes the other way");
}

#[tokio::test]
async fn a_follower_gets_entries_before_openraft_asks_and_openraft_finds_the_answer() {
    let follower = Follower::new(100);
    let (_server, mut link) = follow(&follower).await;
    assert_eq!(ask(&mut link, request(4, [])).await, AppendEntriesResponse::Success);
    tell(&link, appended(5..7));
    follower.has_seen(2).await;
    assert_eq!(ask(&mut link, request(4, 5..7)).await, AppendEntriesResponse::Success);
    assert_eq!(follower.ranges(), [None, Some((5, 6))], "openraft's own append never went out");
}

#[tokio::test]
async fn what_gathers_while_one_is_under_way_goes_with_the_next() {
    let follower = Follower::new(1);
    let (_server, mut link) = follow(&follower).await;
    ask(&mut link, request(4, [])).await;
    tell(&link, appended([5]));
    follower.has_seen(2).await;
    tell(&link, appended([6]));
    tell(&link, appended(7..9));
    let asking = tokio::spawn(async move { ask(&mut link, request(4, 5..8)).await });
    follower.leave.add_permits(100);
    assert_eq!(asking.await.unwrap(), AppendEntriesResponse::Success);
    assert_eq!(follower.ranges(), [None, Some((5, 5)), Some((6, 8))]);
}

/// Waits until nothing is under way early, and gives up to where the follower is then known to have the log.
async fn settled(link: &PeerLink) -> Option<LogId<u64>> {
    let mut changes = link.lanes.progress.subscribe();
    let settled = timeout(LONG, changes.wait_for(|progress| progress.early.is_none())).await.unwrap();
    settled.unwrap().matched.map(|(matched, _)| matched)
}

#[tokio::test]
async fn a_follower_that_disagrees_is_left_to_openraft() {
    let follower = Follower::new(100);
    let (_server, mut link) = follow(&follower).await;
    ask(&mut link, request(4, [])).await;
    let higher = Vote::new(TERM + 1, 2);
    *follower.higher.lock().unwrap() = Some(higher);
    tell(&link, appended([5]));
    assert_eq!(settled(&link).await, None);
    tell(&link, appended([6]));
    assert_eq!(ask(&mut link, request(4, [5])).await, AppendEntriesResponse::HigherVote(higher));
    assert_eq!(follower.ranges(), [None, Some((5, 5)), Some((5, 5))]);
    *follower.higher.lock().unwrap() = None;
    assert_eq!(ask(&mut link, request(4, [5])).await, AppendEntriesResponse::Success);
    assert_eq!(settled(&link).await, Some(id(6)), "it follows again, and what gathered has gone out");
}

#[tokio::test]
async fn an_old_answer_is_no_sign_of_life() {
    let follower = Follower::new(100);
    let (_server, mut link) = follow(&follower).await;
    ask(&mut link, request(4, [])).await;
    tell(&link, appended([5]));
    assert_eq!(settled(&link).await, Some(id(5)));
    link.lanes.progress.send_modify(|progress| {
        let (_, at) = progress.matched.as_mut().unwrap();
        *at -= LONG / FRESH_PART;
    });
    assert_eq!(ask(&mut link, request(4, [5])).await, AppendEntriesResponse::Success);
    assert_eq!(follower.ranges(), [None, Some((5, 5)), Some((5, 5))]);
}

#[tokio::test]
async fn nothing_goes_out_early_to_whom_openraft_does_not_replicate_under_this_vote() {
    let follower = Follower::new(100);
    let (_server, mut link) = follow(&follower).await;
    tell(&link, appended([5]));
    let mut former = request(4, []);
    former.vote = Vote::new_committed(TERM - 1, 1);
    ask(&mut link, former).await;
    tell(&link, appended([6]));
    // The next comes behind whatever went out.
    ask(&mut link, request(6, [7])).await;
    assert_eq!(follower.ranges(), [None, Some((7, 7))]);
}
