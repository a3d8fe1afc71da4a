//! What a node makes of entries that only a newer release can read.

use hellojohn_control::UnknownVersion;
use hellojohn_control::format::is_known;
use serde::Deserialize;
use serde_json::Value;

/// The versions in a request to append, as far as every release writes them.
#[derive(Deserialize)]
struct Append {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    payload: Value,
}

/// The entry in a request that does not decode which is to blame, if it is its version. Whoever leads writes such an
/// entry only after every member was seen to know it, so that this node was downgraded since; it can follow no longer.
pub(crate) fn unknown_entry(append: &[u8]) -> Option<UnknownVersion> {
    let append: Append = serde_json::from_slice(append).ok()?;
    append.entries.iter().find_map(|entry| {
        let found = entry.payload.get("Normal")?.get("v")?.as_u64()?;
        let found = u16::try_from(found).unwrap_or(u16::MAX);
        (!is_known(found)).then_some(UnknownVersion { found })
    })
}

#[cfg(test)]
mod tests {
    use hellojohn_control::Batch;
    use openraft::raft::AppendEntriesRequest;
    use openraft::{EntryPayload, Membership, Vote};

    use super::*;
    use crate::types::{Entry, LogId, Member, TypeConfig};

    fn append(payloads: Vec<EntryPayload<TypeConfig>>) -> Vec<u8> {
        let entries =
            payloads.into_iter().map(|payload| Entry { log_id: LogId::default(), payload }).collect();
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new(1, 1),
            prev_log_id: None,
            entries,
            leader_commit: None,
        };
        serde_json::to_vec(&request).unwrap()
    }

    fn known() -> Vec<EntryPayload<TypeConfig>> {
        let member = Member { name: "n1".to_owned() };
        let membership = Membership::new(vec![[1].into()], std::collections::BTreeMap::from([(1, member)]));
        vec![
            EntryPayload::Blank,
            EntryPayload::Membership(membership),
            EntryPayload::Normal(Batch::new(Vec::new())),
        ]
    }

    #[test]
    fn the_version_is_found_among_entries_of_every_kind() {
        let text = String::from_utf8(append(known())).unwrap();
        assert_eq!(unknown_entry(text.as_bytes()), None);
        let newer = text.replacen(r#""v":1"#, r#""v":999"#, 1);
        assert_ne!(newer, text);
        assert!(serde_json::from_str::<AppendEntriesRequest<TypeConfig>>(&newer).is_err());
        assert_eq!(unknown_entry(newer.as_bytes()), Some(UnknownVersion { found: 999 }));
    }

    #[test]
    fn what_is_no_request_is_not_blamed_on_a_version() {
        assert_eq!(unknown_entry(b"{}"), None);
        assert_eq!(unknown_entry(br#"{"entries":[{"payload":{"Normal":{}}}]}"#), None);
    }
}
