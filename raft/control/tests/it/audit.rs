//! S113: every write is in the chain of records, whatever happens (spec §10).

use std::collections::BTreeMap;

use hellojohn_control::audit::{Head, Record, SYSTEM, verify};
use hellojohn_control::{Batch, Command, Envelope, Machine, Outcome, Reject};
use proptest::prelude::*;

use crate::arbitrary::history;
use crate::support::machine;

/// The records that wait, copied as the job copies them.
fn copy(machine: &Machine, copied: &mut BTreeMap<u64, Record>) {
    let view = machine.view(1);
    copied.extend(view.audit().after(0).map(|record| (record.seq, Record::clone(record))));
}

/// Whether an administrator's command is to be in the chain.
fn is_told(item: &Envelope, result: &Result<Outcome, Reject>) -> bool {
    !matches!(
        (&item.command, result),
        (_, Ok(Outcome::Replayed { .. }) | Err(Reject::KeyNeeded { .. }))
            | (Command::TrimAudit { .. }, Ok(_))
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Each administrator's command has its record, done or refused; the whole chain can be told from what was copied
    /// before it was trimmed.
    #[test]
    fn every_write_is_in_the_chain_and_trimming_breaks_nothing(history in history()) {
        let mut machine = machine();
        let mut copied = BTreeMap::new();
        for item in history {
            let before = machine.view(1).audit().head().seq;
            let result = machine.apply(&Batch::new(vec![item.clone()])).unwrap().pop().unwrap();
            let view = machine.view(1);
            let seq = view.audit().head().seq;
            if view.format() < 2 {
                prop_assert_eq!(seq, 0, "not all members keep records");
            } else if item.actor != SYSTEM {
                prop_assert_eq!(seq - before, u64::from(is_told(&item, &result)), "{:?} {:?}", item, result);
            } else if let Err(reject) = &result {
                prop_assert_eq!(seq, before, "{:?}", reject);
            }
            if seq > before {
                let record = view.audit().after(before).next().unwrap();
                prop_assert_eq!(&record.action, item.command.action());
                prop_assert_eq!(record.reason.as_deref(), result.as_ref().err().map(Reject::code));
                prop_assert_eq!(record.tenant.as_ref(), item.command.tenant());
            }
            copy(&machine, &mut copied);
        }
        let view = machine.view(1);
        prop_assert_eq!(verify(Head::default(), copied.values()).unwrap(), view.audit().head());
    }

    /// What a member makes of the log does not depend on how it was cut into entries, or on a snapshot in between; and the
    /// code of a refusal is its name in the log.
    #[test]
    fn all_members_have_the_same_chain(history in history(), cut in 1..10_usize) {
        let (mut one, mut other) = (machine(), machine());
        for items in history.chunks(cut) {
            for result in one.apply(&Batch::new(items.to_vec())).unwrap() {
                if let Err(reject) = result {
                    prop_assert_eq!(&serde_json::to_value(&reject)?["type"], reject.code());
                }
            }
        }
        for item in history {
            other.apply(&Batch::new(vec![item])).unwrap();
            let image = other.image();
            other.install(image).unwrap();
        }
        prop_assert_eq!(one.image().audit, other.image().audit);
    }
}
