//! S113: the chain is what it says it is, and shows what was changed in it.

use std::sync::Arc;

use super::*;
use crate::{Slug, Timestamp, limits};

fn change(request: &str) -> Written<'_> {
    Written {
        at: Timestamp::from_millis(1_795_305_600_007),
        tenant: None,
        actor: "_system/break-glass",
        request_id: request,
        action: "keys.rotate",
        target: None,
        reason: None,
        ip: None,
    }
}

fn outbox(records: u64) -> Outbox {
    let mut outbox = Outbox::default();
    for number in 1..=records {
        outbox.append(change(&format!("r{number}")));
    }
    outbox
}

fn records(outbox: &Outbox) -> Vec<Record> {
    outbox.after(0).map(|record| Record::clone(record)).collect()
}

/// The hashes were computed from the documentation by another program.
#[test]
fn the_encoding_is_pinned() {
    let acme = Slug::parse("acme").unwrap();
    let full = Written {
        tenant: Some(&acme),
        target: Some("web".to_owned()),
        reason: Some("precondition_failed"),
        ip: Some("2001:db8::1".parse().unwrap()),
        ..change("r2")
    };
    let first = Record::after(Head::default(), change("r1"));
    let second = Record::after(first.head(), full);
    assert_eq!((first.seq, second.seq), (1, 2));
    assert_eq!(first.hash.to_string(), "67680742f3ce3a3efa279f54ea1a0b00ae1d9500673ea9c4224e6a7e6180aa48");
    assert_eq!(second.hash.to_string(), "f5392e1f60240c3c21ca89d81b60db202c81c96ce2da741770fa27c4187e421c");
}

#[test]
fn a_run_is_verified_from_its_beginning_or_from_a_record_that_is_trusted() {
    let outbox = outbox(5);
    let all = records(&outbox);
    assert_eq!(verify(Head::default(), &all), Ok(outbox.head()));
    assert_eq!(verify(all[1].head(), &all[2..]), Ok(outbox.head()));
    assert_eq!(verify(Head::default(), []), Ok(Head::default()));
}

#[test]
fn what_was_changed_removed_or_moved_is_found() {
    let good = records(&outbox(4));
    let slug = || Slug::parse("acme").ok();
    let changes: [fn(&mut Record, Option<Slug>); 9] = [
        |r, _| r.at = r.at.plus(std::time::Duration::from_millis(1)),
        |r, slug| r.tenant = slug,
        |r, _| r.actor.push('x'),
        |r, _| r.request_id.push('x'),
        |r, _| r.action.push('x'),
        |r, _| r.target = Some(String::new()),
        |r, _| r.reason = Some(String::new()),
        |r, _| r.ip = "127.0.0.1".parse().ok(),
        |r, _| r.hash = ChainHash::new([7; 32]),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad[1], slug());
        assert_eq!(verify(Head::default(), &bad), Err(Broken::Changed { seq: 2 }), "change {number}");
        // Whoever computes the hash anew is found by the next record.
        bad[1].hash = bad[1].hash_after(&bad[0].hash);
        if number < 8 {
            assert_eq!(verify(Head::default(), &bad), Err(Broken::Changed { seq: 3 }), "change {number}");
        }
    }
    let gap = [good[0].clone(), good[2].clone()];
    assert_eq!(verify(Head::default(), &gap), Err(Broken::Gap { expected: 2, found: 3 }));
    // What moves from one field into the next is another record.
    let mut moved = good[0].clone();
    let last = moved.actor.pop().unwrap();
    moved.request_id.insert(0, last);
    assert_eq!(verify(Head::default(), [&moved]), Err(Broken::Changed { seq: 1 }));
}

#[test]
fn the_oldest_make_room_and_are_counted() {
    let most = u64::try_from(limits::AUDIT_RECORDS).unwrap();
    let full = outbox(most);
    assert_eq!((full.len(), full.dropped(), full.first()), (limits::AUDIT_RECORDS, 0, Some(1)));
    let over = outbox(most + 3);
    assert_eq!((over.len(), over.dropped(), over.first()), (limits::AUDIT_RECORDS, 3, Some(4)));
    assert_eq!(over.head().seq, most + 3);
}

#[test]
fn what_was_copied_goes_and_the_chain_goes_on() {
    let mut trimmed = outbox(3);
    let before = records(&trimmed);
    trimmed.trim(2);
    assert_eq!((trimmed.len(), trimmed.first(), trimmed.dropped()), (1, Some(3), 0));
    trimmed.trim(99);
    assert!(trimmed.is_empty());
    assert_eq!(trimmed.head(), before[2].head());
    trimmed.append(change("r4"));
    assert_eq!(verify(before[2].head(), &records(&trimmed)), Ok(trimmed.head()));
    assert_eq!(records(&outbox(4))[3], records(&trimmed)[0], "as if nothing had gone");
}

#[test]
fn an_image_holds_it_whole_and_one_that_was_changed_is_refused() {
    let mut outbox = outbox(5);
    outbox.trim(2);
    let image = outbox.image();
    let json = serde_json::to_string(&image).unwrap();
    let read: AuditImage = serde_json::from_str(&json).unwrap();
    assert_eq!(Outbox::new(read).unwrap().image(), image);
    let mut changed = image.clone();
    Arc::make_mut(&mut changed.records[1]).actor = "somebody".to_owned();
    assert_eq!(Outbox::new(changed).unwrap_err(), Broken::Changed { seq: 4 });
    let mut gap = image.clone();
    gap.records.remove(1);
    assert_eq!(Outbox::new(gap).unwrap_err(), Broken::Gap { expected: 4, found: 5 });
    let mut cut = image.clone();
    cut.records.pop();
    assert_eq!(Outbox::new(cut).unwrap_err(), Broken::Gap { expected: 5, found: 4 });
    let mut other = image;
    other.head.hash = ChainHash::default();
    assert_eq!(Outbox::new(other).unwrap_err(), Broken::Changed { seq: 5 });
}

#[test]
fn what_no_database_takes_is_not_kept() {
    let actor = format!("a\0b\n{}", "é".repeat(300));
    let record = Record::after(Head::default(), Written { actor: &actor, ..change("r\r1") });
    assert!(record.actor.starts_with("abé") && record.actor.len() <= 512, "{}", record.actor);
    assert_eq!(record.request_id, "r1");
}

#[test]
fn a_hash_is_64_lower_case_digits() {
    let hash = ChainHash::new([0xab; 32]);
    let json = serde_json::to_string(&hash).unwrap();
    assert_eq!(serde_json::from_str::<ChainHash>(&json).unwrap(), hash);
    for bad in ["", "ab", &"AB".repeat(32), &"g0".repeat(32), &"é".repeat(32)] {
        assert!(serde_json::from_str::<ChainHash>(&format!("\"{bad}\"")).is_err(), "{bad}");
    }
}
