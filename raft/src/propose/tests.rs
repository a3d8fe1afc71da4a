//! How commands share entries, and what callers are told.

use hellojohn_control::{Command, Slug, Timestamp};
use openraft::error::{Fatal, ForwardToLeader};

use super::*;

fn waiting(bytes: usize) -> Waiting {
    let envelope = Envelope {
        at: Timestamp::from_millis(0),
        actor: "test".to_owned(),
        request_id: "r".to_owned(),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::DeleteTenant { slug: Slug::parse("acme").unwrap() },
    };
    Waiting { envelope, bytes, answer: oneshot::channel().0 }
}

#[test]
fn an_entry_holds_no_more_bytes_than_a_heartbeat_carries_and_at_least_one_command() {
    let mut queue: VecDeque<Waiting> =
        [BATCH_BYTES / 2, BATCH_BYTES / 2, 1, COMMAND_BYTES, 1].map(waiting).into();
    let mut sizes = Vec::new();
    while !queue.is_empty() {
        sizes.push(portion(&mut queue).0.len());
    }
    assert_eq!(sizes, [2, 1, 1, 1]);
}

#[test]
fn the_size_of_a_command_is_its_length_in_the_log() {
    let envelope = waiting(0).envelope;
    assert_eq!(size(&envelope), serde_json::to_vec(&envelope).unwrap().len());
}

/// The entry may be on other nodes, or on this disk: neither "not the leader" nor "failed" would be true.
#[test]
fn a_write_that_was_handed_over_and_lost_its_leader_or_its_node_has_an_unknown_outcome() {
    let moved = ForwardToLeader::new(2, Member { name: "n2".to_owned() });
    let cut_off = RaftError::APIError(ClientWriteError::ForwardToLeader(moved));
    assert_eq!(unresolved(&cut_off), ProposeError::OutcomeUnknown);
    assert_eq!(unresolved(&RaftError::Fatal(Fatal::Stopped)), ProposeError::OutcomeUnknown);
}

#[test]
fn one_caller_never_waits_and_many_wait_no_longer_than_the_bound() {
    assert_eq!(pause(0), Duration::ZERO);
    assert_eq!(pause(1), Duration::ZERO);
    assert_eq!(pause(11), PAUSE_PER_COMMAND * 10);
    assert_eq!(pause(limits::BATCH), LONGEST_PAUSE);
    assert_eq!(pause(usize::MAX), LONGEST_PAUSE);
}
