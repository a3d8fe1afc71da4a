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

#[tokio::test]
async fn an_entry_waits_for_as_many_as_there_were_and_no_longer_than_it_is_quiet() {
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let mut received = vec![0];
    for number in 1..=3 {
        sender.try_send(number).unwrap();
    }
    fill(&mut queue, &mut received, 1).await;
    assert_eq!(received, [0], "one caller never waits, not even for what is there already");
    fill(&mut queue, &mut received, 4).await;
    assert_eq!(received, [0, 1, 2, 3]);
    let began = Instant::now();
    fill(&mut queue, &mut received, 5).await;
    assert!(began.elapsed() >= QUIET);
    assert_eq!(received.len(), 4, "the fifth has gone away");
    for number in 0..2 * limits::BATCH {
        sender.try_send(number).unwrap();
    }
    fill(&mut queue, &mut received, usize::MAX).await;
    assert_eq!(received.len(), limits::BATCH);
    received.clear();
    while queue.try_recv().is_ok() {}
    drop(sender);
    fill(&mut queue, &mut received, usize::MAX).await;
    assert_eq!(received.len(), 0, "the last handle is gone");
}
