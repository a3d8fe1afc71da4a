//! Nothing that an older release cannot read is written before every member is upgraded (ha.md, F21).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::support::Bench;
use crate::format::FIRST_FORMAT;
use crate::{
    Batch, Command, Envelope, FORMAT, Fatal, Image, ImageError, Outcome, Reject, Timestamp, UnknownVersion,
};

const NEWER: u16 = FORMAT + 1;

fn formed() -> Bench {
    let mut bench = Bench::new();
    let members = BTreeMap::from([("n1".to_owned(), 1), ("n2".to_owned(), 2)]);
    bench.run(Command::FormCluster { cluster_id: Uuid::from_u128(7), members }).unwrap();
    bench
}

fn admit(name: &str, format: u16) -> Command {
    Command::AdmitNode { name: name.to_owned(), admission: None, format }
}

#[test]
fn the_format_is_raised_when_all_members_were_seen_to_know_it() {
    let mut bench = formed();
    assert_eq!(bench.view().format(), FIRST_FORMAT);
    for others in [&[1][..], &[1, 2, 3], &[1, 3]] {
        let seen = others.iter().copied().collect();
        assert_eq!(bench.machine.raise_format(NEWER, &seen), Err(Reject::MembersChanged), "{others:?}");
    }
    assert_eq!(bench.view().format(), FIRST_FORMAT);
    let all = [1, 2].into();
    assert_eq!(bench.machine.raise_format(NEWER, &all), Ok(Outcome::FormatRaised { format: NEWER }));
    assert_eq!(bench.view().format(), NEWER);
    assert_eq!(
        bench.machine.raise_format(FIRST_FORMAT, &all),
        Ok(Outcome::FormatRaised { format: NEWER }),
        "never back"
    );
}

#[test]
fn whoever_was_added_and_has_not_come_does_not_hold_it_up() {
    let mut bench = formed();
    bench.run(Command::AddMember { name: "n3".to_owned() }).unwrap();
    assert!(bench.machine.raise_format(NEWER, &[1, 2].into()).is_ok());
    assert_eq!(
        bench.run(admit("n3", FORMAT)),
        Err(Reject::ReleaseTooOld { knows: FORMAT, format: NEWER }),
        "an older release comes too late"
    );
    assert_eq!(bench.run(admit("n3", NEWER)), Ok(Outcome::NodeAdmitted { raft_id: 3, incarnation: 1 }));
}

#[test]
fn a_node_that_came_meanwhile_stops_the_raising() {
    let mut bench = formed();
    bench.run(Command::AddMember { name: "n3".to_owned() }).unwrap();
    bench.run(admit("n3", FORMAT)).unwrap();
    assert_eq!(bench.machine.raise_format(NEWER, &[1, 2].into()), Err(Reject::MembersChanged));
}

#[test]
fn what_a_raised_cluster_writes_is_refused_by_an_older_release() {
    let mut bench = formed();
    bench.machine.raise_format(NEWER, &[1, 2].into()).unwrap();
    let image = bench.machine.image();
    assert_eq!(image.v, NEWER);
    let error = Image::decode(&image.encode().unwrap()).unwrap_err();
    assert!(matches!(error, ImageError::UnknownVersion { found: NEWER }), "{error}");
    // A version that was tampered with hides nothing.
    let lying = Image { v: FIRST_FORMAT, ..image };
    let error = Bench::new().machine.install(lying).unwrap_err();
    assert!(matches!(error, ImageError::UnknownVersion { found: NEWER }), "{error}");
}

#[test]
fn a_raise_that_is_refused_harms_nobody_and_one_that_is_done_ends_an_older_release() {
    let envelope = |command| Envelope {
        at: Timestamp::from_secs(1),
        actor: "system".to_owned(),
        request_id: "r".to_owned(),
        ip: None,
        precondition: None,
        idempotency: None,
        command,
    };
    let raise = |seen: &[u64]| {
        let seen = seen.iter().copied().collect();
        Batch::new(vec![envelope(admit("n1", 1)), envelope(Command::RaiseFormat { to: NEWER, seen })])
    };
    assert_eq!(Batch::new(vec![]).version(), FIRST_FORMAT);
    let mut bench = formed();
    let refused = raise(&[1, 2]);
    assert_eq!(refused.version(), FIRST_FORMAT, "one that is refused harms nobody");
    let results = bench.machine.apply(&refused).unwrap();
    assert_eq!(results[1], Err(Reject::MembersChanged), "n1 has come again");
    let hash = bench.hash();
    let fatal = bench.machine.apply(&raise(&[2, 4])).unwrap_err();
    assert_eq!(fatal, Fatal::UnknownVersion(UnknownVersion { found: NEWER }), "and one that is done ends it");
    assert_eq!(bench.hash(), hash);
}

#[test]
fn a_command_of_a_newer_format_waits() {
    let command = admit("n1", 1);
    assert_eq!(command.check_format(FIRST_FORMAT), Ok(()));
    let pending = Reject::UpgradePending { needed: FIRST_FORMAT, format: FIRST_FORMAT - 1 };
    assert_eq!(command.check_format(FIRST_FORMAT - 1), Err(pending));
}
