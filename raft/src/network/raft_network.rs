//! openraft's network traits over [`PeerClient`], and its messages on the way in.
//!
//! The only module here that names openraft. Owns the bodies of Append, Vote and InstallSnapshot: JSON of
//! openraft's own messages, except that a snapshot chunk travels as raw bytes behind its JSON head (JSON
//! would write every byte as a number). Answers are `Result<Response, RaftError>` in JSON.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use openraft::error::{
    InstallSnapshotError, NetworkError, PayloadTooLarge, RPCError, RaftError, RemoteError, Timeout,
    Unreachable,
};
use openraft::network::{Backoff, RPCOption, RPCTypes, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{Node, Raft, RaftLogId as _, RaftTypeConfig, SnapshotMeta, Vote};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::backoff::BackoffPolicy;
use super::client::{CallError, PeerClient};
use super::contacts::Contacts;
use super::dial::Dialer;
use super::hello::Refusal;
use super::reverted::Reverted;
use super::rpc::{RpcFailure, RpcKind, decode_json, encode_json};
use super::twin::Twin;

mod ahead;
mod lanes;

use ahead::Asked;
pub use ahead::{Ahead, FRESH_PART};
use lanes::Lanes;

/// How long a peer has to hear that it is turned down.
const TURN_DOWN: Duration = Duration::from_millis(200);

/// Where a cluster member keeps its node name (`NODE_ID`).
pub trait PeerNamed {
    /// The name by which the node is dialled and that its certificate carries.
    fn peer_name(&self) -> &str;
}

/// Makes openraft's clients. openraft asks for new ones at every election and every read-index; those of
/// one peer share their connections.
#[derive(Debug)]
pub struct PeerNetwork {
    own_id: u64,
    dialer: Arc<Dialer>,
    contacts: Arc<Contacts>,
    reverted: Arc<Reverted>,
    ahead: Arc<Ahead>,
    lanes: HashMap<(String, u64), Arc<Lanes>>,
}

impl PeerNetwork {
    /// The network of the member with raft id `own_id`. Connects to nobody yet; notes in `contacts` who
    /// answers, and in `reverted` who has lost what it acknowledged.
    pub fn new(own_id: u64, dialer: Arc<Dialer>, contacts: Arc<Contacts>, reverted: Arc<Reverted>) -> Self {
        let ahead = Arc::new(Ahead::new(Arc::clone(&dialer), Arc::clone(&contacts)));
        Self { own_id, dialer, contacts, reverted, ahead, lanes: HashMap::new() }
    }

    /// What is to hear of entries that this node appends while they are not yet on its disk.
    pub fn ahead(&self) -> Arc<Ahead> {
        Arc::clone(&self.ahead)
    }
}

impl<C> RaftNetworkFactory<C> for PeerNetwork
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Node: PeerNamed,
{
    type Network = PeerLink;

    async fn new_client(&mut self, target: u64, node: &C::Node) -> PeerLink {
        let name = node.peer_name();
        let dialer = &self.dialer;
        let lanes = self.lanes.entry((name.to_owned(), target)).or_insert_with(|| {
            let append = Twin::new([dialer.member(name, target), dialer.member(name, target)]);
            let lanes =
                Arc::new(Lanes::new(append, dialer.member(name, target), dialer.member(name, target)));
            self.ahead.add(&lanes);
            lanes
        });
        PeerLink {
            own_id: self.own_id,
            target,
            contacts: Arc::clone(&self.contacts),
            reverted: Arc::clone(&self.reverted),
            ahead: Arc::clone(&self.ahead),
            lanes: Arc::clone(lanes),
            backoff: dialer.limits().backoff,
        }
    }
}

/// One peer as openraft sees it.
#[derive(Debug)]
pub struct PeerLink {
    own_id: u64,
    target: u64,
    contacts: Arc<Contacts>,
    reverted: Arc<Reverted>,
    ahead: Arc<Ahead>,
    lanes: Arc<Lanes>,
    backoff: BackoffPolicy,
}

impl PeerLink {
    async fn exchange<N, Res, E>(
        &self,
        (lane, kind, action): (&PeerClient, RpcKind, RPCTypes),
        payload: Result<Bytes, RpcFailure>,
        option: &RPCOption,
    ) -> Result<Res, RPCError<u64, N, RaftError<u64, E>>>
    where
        N: Node,
        Res: DeserializeOwned,
        E: Error + DeserializeOwned,
    {
        let within = option.hard_ttl();
        let answer = match payload {
            Ok(payload) => lane.call(kind, payload, within).await,
            Err(failure) => Err(CallError::Remote(failure)),
        };
        self.understand(answer, action, within)
    }

    /// What the peer's answer, or its silence `within` the time, means to openraft.
    fn understand<N, Res, E>(
        &self,
        answer: Result<Bytes, CallError>,
        action: RPCTypes,
        within: Duration,
    ) -> Result<Res, RPCError<u64, N, RaftError<u64, E>>>
    where
        N: Node,
        Res: DeserializeOwned,
        E: Error + DeserializeOwned,
    {
        if answer.is_ok() {
            self.contacts.heard(self.lanes.append.name());
        }
        let decoded = answer.and_then(|answer| {
            serde_json::from_slice::<Result<Res, RaftError<u64, E>>>(&answer)
                .map_err(|error| CallError::BadAnswer(error.to_string()))
        });
        match decoded {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(raft)) => Err(RPCError::RemoteError(RemoteError::new(self.target, raft))),
            Err(error) => Err(self.rpc_error(&error, action, within)),
        }
    }

    /// Compares what the peer says of its log with what it said before under this vote. `sent` are the indexes of the
    /// entry before those that were sent and of the last of them.
    async fn check_word<N: Node>(
        &self,
        answer: &AppendEntriesResponse<u64>,
        vote: Vote<u64>,
        sent: (Option<u64>, Option<u64>),
    ) -> Result<(), RPCError<u64, N, RaftError<u64>>> {
        let (before, last) = sent;
        match answer {
            AppendEntriesResponse::Success => self.lanes.note_word(vote, last),
            AppendEntriesResponse::PartialSuccess(matched) => {
                self.lanes.note_word(vote, matched.map(|id| id.index));
            }
            AppendEntriesResponse::Conflict => {
                if let (Some(acknowledged), Some(before)) = (self.lanes.word(vote), before)
                    && before <= acknowledged
                {
                    return Err(self.turn_down(acknowledged).await);
                }
            }
            AppendEntriesResponse::HigherVote(_) => {}
        }
        Ok(())
    }

    /// Tells the peer that its disk is an older copy, and gives what openraft is told.
    async fn turn_down<N: Node>(&self, acknowledged: u64) -> RPCError<u64, N, RaftError<u64>> {
        let (name, raft_id) = (self.lanes.append.name().to_owned(), self.target);
        if self.reverted.recently(raft_id).is_none() {
            tracing::error!(peer = name, raft_id, acknowledged, "a member lacks what it acknowledged");
        }
        self.reverted.seen(raft_id, acknowledged);
        let refusal = Refusal::Reverted { name, raft_id, acknowledged };
        // It follows, so that it would not ask. Told again with each append that it answers like this.
        let told = self.lanes.vote.call_json::<_, ()>(RpcKind::TurnDown, &refusal, TURN_DOWN).await;
        if let Err(error) = told {
            tracing::debug!(raft_id, %error, "it was not told");
        }
        RPCError::Unreachable(Unreachable::new(&refusal))
    }

    /// What openraft makes of it: `Unreachable` backs off, `Timeout` and `Network` are tried again.
    fn rpc_error<N, E>(
        &self,
        error: &CallError,
        action: RPCTypes,
        timeout: Duration,
    ) -> RPCError<u64, N, RaftError<u64, E>>
    where
        N: Node,
        E: Error,
    {
        match error {
            CallError::Timeout => {
                RPCError::Timeout(Timeout { action, id: self.own_id, target: self.target, timeout })
            }
            CallError::Disconnected { .. } => RPCError::Network(NetworkError::new(error)),
            CallError::Unreachable { .. }
            | CallError::Refused(_)
            | CallError::Remote(_)
            | CallError::TooLarge { .. }
            | CallError::BadAnswer(_) => RPCError::Unreachable(Unreachable::new(error)),
        }
    }
}

impl<C> RaftNetwork<C> for PeerLink
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Node: PeerNamed,
{
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<C>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, C::Node, RaftError<u64>>> {
        let within = option.hard_ttl();
        let last = rpc.entries.last().map(|entry| *entry.get_log_id());
        let asked = Asked { vote: rpc.vote, before: rpc.prev_log_id, last };
        if self.ahead.is_acknowledged(&self.lanes, asked, within).await {
            return Ok(AppendEntriesResponse::Success);
        }
        let payload = encode_json(&rpc);
        if let Some(hint) =
            payload.as_ref().ok().and_then(|bytes| fewer_entries(bytes.len(), rpc.entries.len()))
        {
            return Err(RPCError::PayloadTooLarge(PayloadTooLarge::new_entries_hint(hint)));
        }
        let question = self.ahead.asks(&self.lanes, asked);
        let answer = match payload {
            Ok(payload) => self.lanes.append.call(RpcKind::Append, payload, within).await,
            Err(failure) => Err(CallError::Remote(failure)),
        };
        let answer = self.understand(answer, RPCTypes::AppendEntries, within)?;
        if answer == AppendEntriesResponse::Success {
            question.agreed();
        }
        let (before, last) = (asked.before.map(|id| id.index), asked.upto().map(|id| id.index));
        self.check_word(&answer, rpc.vote, (before, last)).await?;
        Ok(answer)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<C>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, C::Node, RaftError<u64, InstallSnapshotError>>>
    {
        let payload = encode_chunk(rpc);
        let lane = (&self.lanes.snapshot, RpcKind::InstallSnapshot, RPCTypes::InstallSnapshot);
        self.exchange(lane, payload, &option).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, C::Node, RaftError<u64>>> {
        let payload = encode_json(&rpc);
        let lane = (&self.lanes.vote, RpcKind::Vote, RPCTypes::Vote);
        self.exchange(lane, payload, &option).await
    }

    fn backoff(&self) -> Backoff {
        let (policy, seed) = (self.backoff, format!("{}>{}", self.own_id, self.target));
        Backoff::new((1..=u32::MAX).map(move |failures| policy.delay(failures, &seed)))
    }
}

/// How many of `entries` to send instead, where their encoding of `size` bytes exceeds a frame and there
/// is more than one.
fn fewer_entries(size: usize, entries: usize) -> Option<u64> {
    let limit = super::frame::MAX_FRAME - super::frame::HEAD;
    if size <= limit || entries < 2 {
        return None;
    }
    let share = entries / (size / limit + 2);
    Some(u64::try_from(share.max(1)).unwrap_or(1))
}

/// A snapshot chunk without its bytes.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct ChunkHead<C: RaftTypeConfig<NodeId = u64>> {
    vote: Vote<u64>,
    meta: SnapshotMeta<u64, C::Node>,
    offset: u64,
    done: bool,
}

/// Body of InstallSnapshot: u32 length of the JSON head, the head, the bytes of the chunk.
fn encode_chunk<C>(request: InstallSnapshotRequest<C>) -> Result<Bytes, RpcFailure>
where
    C: RaftTypeConfig<NodeId = u64>,
{
    let InstallSnapshotRequest { vote, meta, offset, data, done } = request;
    let head = encode_json(&ChunkHead::<C> { vote, meta, offset, done })?;
    let length = u32::try_from(head.len())
        .map_err(|_| RpcFailure::Internal { detail: "snapshot head of 4 GiB".to_owned() })?;
    let mut body = BytesMut::with_capacity(4 + head.len() + data.len());
    body.put_u32(length);
    body.put(head);
    body.put_slice(&data);
    Ok(body.freeze())
}

fn decode_chunk<C>(mut body: Bytes) -> Result<InstallSnapshotRequest<C>, RpcFailure>
where
    C: RaftTypeConfig<NodeId = u64>,
{
    let short = || RpcFailure::BadRequest { detail: "snapshot chunk shorter than its head".to_owned() };
    let length = body.try_get_u32().map_err(|_| short())?;
    let length = usize::try_from(length).map_err(|_| short())?;
    if length > body.len() {
        return Err(short());
    }
    let head: ChunkHead<C> = decode_json(&body.split_to(length))?;
    let ChunkHead { vote, meta, offset, done } = head;
    Ok(InstallSnapshotRequest { vote, meta, offset, data: body.into(), done })
}

/// Carries out an Append, Vote or InstallSnapshot on `raft`; other kinds are not its business and fail as
/// unknown.
pub async fn dispatch<C>(raft: &Raft<C>, kind: RpcKind, payload: Bytes) -> Result<Bytes, RpcFailure>
where
    C: RaftTypeConfig<NodeId = u64>,
{
    match kind {
        RpcKind::Append => encode_json(&raft.append_entries(decode_json(&payload)?).await),
        RpcKind::Vote => encode_json(&raft.vote(decode_json(&payload)?).await),
        RpcKind::InstallSnapshot => encode_json(&raft.install_snapshot(decode_chunk(payload)?).await),
        RpcKind::Probe
        | RpcKind::Promise
        | RpcKind::AppliedIndex
        | RpcKind::PreVote
        | RpcKind::Alive
        | RpcKind::Join
        | RpcKind::Stand
        | RpcKind::ReadIndex
        | RpcKind::Forward
        | RpcKind::TurnDown => Err(RpcFailure::UnknownKind { kind: kind.number() }),
    }
}

#[cfg(test)]
mod tests;
