//! What holds for every history of commands (spec §1, §3.3, S46).

use std::collections::BTreeMap;

use hellojohn_control::documents::{Alg, KeySet, KeyState};
use hellojohn_control::{Batch, Envelope, Image, KeyRing, Machine, Outcome, Reject, View};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::arbitrary::history;
use crate::support::machine;

type Results = Vec<Result<Outcome, Reject>>;

fn apply(machine: &mut Machine, items: &[Envelope]) -> Results {
    machine.apply(&Batch::new(items.to_vec())).unwrap()
}

fn hash(machine: &Machine) -> String {
    machine.image().hash().unwrap()
}

/// Of everything but the records, which tell of refusals too.
fn documents_hash(machine: &Machine) -> String {
    Image { audit: Default::default(), ..machine.image() }.hash().unwrap()
}

/// All rings of a view by set.
fn rings(view: &View) -> Vec<(KeySet, &KeyRing)> {
    let tenants = view.tenants().iter().map(|(slug, entry)| (KeySet::Tenant(slug.clone()), &entry.keys));
    std::iter::once((KeySet::Global, view.global_keys())).chain(tenants).collect()
}

/// Every document with a revision, by name, with its content.
fn documents(view: &View) -> BTreeMap<String, (u64, String)> {
    let mut found = BTreeMap::new();
    for (slug, entry) in view.tenants() {
        let json = |value: serde_json::Result<String>| value.unwrap();
        found.insert(
            format!("tenant {slug}"),
            (entry.tenant.revision, json(serde_json::to_string(&entry.tenant))),
        );
        found.insert(
            format!("scopes {slug}"),
            (entry.scopes.revision, json(serde_json::to_string(&entry.scopes))),
        );
        for (id, client) in &entry.clients {
            assert_eq!(client.version, client.revision);
            found.insert(
                format!("client {slug} {id}"),
                (client.revision, json(serde_json::to_string(client))),
            );
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// One batch, batches of one and any other cut give the same results and the same state.
    #[test]
    fn batching_makes_no_difference(history in history(), cut in 1..10_usize) {
        let (mut whole, mut single, mut chunked) = (machine(), machine(), machine());
        let results = apply(&mut whole, &history);
        let singles: Results = history.chunks(1).flat_map(|c| apply(&mut single, c)).collect();
        let chunks: Results = history.chunks(cut).flat_map(|c| apply(&mut chunked, c)).collect();
        prop_assert_eq!(&results, &singles);
        prop_assert_eq!(&results, &chunks);
        prop_assert_eq!(hash(&whole), hash(&single));
        prop_assert_eq!(hash(&whole), hash(&chunked));
    }

    /// The same log gives the same state on another node, which reads it from its disk.
    #[test]
    fn a_replayed_log_gives_the_same_state(history in history()) {
        let (mut leader, mut follower) = (machine(), machine());
        for items in history.chunks(3) {
            let batch = Batch::new(items.to_vec());
            let bytes = serde_json::to_vec(&batch)?;
            let read: Batch = serde_json::from_slice(&bytes)?;
            prop_assert_eq!(serde_json::to_vec(&read)?, bytes);
            prop_assert_eq!(leader.apply(&batch).unwrap(), follower.apply(&read).unwrap());
        }
        prop_assert_eq!(leader.image().encode()?, follower.image().encode()?);
    }

    /// A node that starts from a snapshot goes on like one that saw everything.
    #[test]
    fn a_snapshot_at_any_point_changes_nothing(history in history(), at in any::<prop::sample::Index>()) {
        let (before, after) = history.split_at(at.index(history.len()));
        let mut original = machine();
        apply(&mut original, before);
        let bytes = original.image().encode()?;
        let mut restored = machine();
        restored.install(Image::decode(&bytes)?)?;
        prop_assert_eq!(restored.image().encode()?, bytes);
        prop_assert_eq!(apply(&mut original, after), apply(&mut restored, after));
        prop_assert_eq!(hash(&original), hash(&restored));
        // spec §1.4: and serves the same bytes.
        let (one, other) = (original.view(9), restored.view(9));
        prop_assert_eq!(one.global_discovery(), other.global_discovery());
        for ((_, one), (_, other)) in rings(&one).into_iter().zip(rings(&other)) {
            prop_assert_eq!(one.jwks(), other.jwks());
        }
        for (one_entry, other_entry) in one.tenants().values().zip(other.tenants().values()) {
            prop_assert_eq!(one.discovery_of(one_entry), other.discovery_of(other_entry));
        }
    }

    /// Architecture rule 6: a reject is data, and the state is as if it had not been asked.
    #[test]
    fn a_rejected_command_changes_nothing(history in history()) {
        let mut machine = machine();
        for item in history {
            let before = documents_hash(&machine);
            if let [Err(reject)] = &apply(&mut machine, &[item])[..] {
                prop_assert_eq!(documents_hash(&machine), before, "{:?}", reject);
            }
        }
    }

    /// spec §3.3: revisions count from 1, change exactly with the document, and never come twice for a name,
    /// however often it is deleted and made again.
    #[test]
    fn revisions_only_grow(history in history()) {
        let mut machine = machine();
        let mut highest: BTreeMap<String, u64> = BTreeMap::new();
        let mut before = BTreeMap::new();
        for item in history {
            apply(&mut machine, &[item]);
            let now = documents(&machine.view(1));
            for (name, (revision, content)) in &now {
                match before.get(name) {
                    Some((old, old_content)) if old == revision => prop_assert_eq!(content, old_content),
                    Some(_) | None => {
                        let last = highest.insert(name.clone(), *revision).unwrap_or(0);
                        prop_assert_eq!(*revision, last + 1, "{}", name);
                    }
                }
            }
            before = now;
        }
    }

    /// S46: a set that has signed with an algorithm can always sign with it, with exactly one key, and its
    /// JWKS is never empty; nothing private or retired is in it; only one key waits; records are bounded.
    #[test]
    fn a_set_can_always_sign_and_verify(history in history()) {
        let mut machine = machine();
        let mut signed: Vec<(KeySet, Alg)> = Vec::new();
        for item in history {
            apply(&mut machine, &[item]);
            let view = machine.view(1);
            signed.retain(|(set, _)| view.keys(set).is_some());
            for (set, alg) in &signed {
                prop_assert!(view.keys(set).unwrap().active(*alg).is_some(), "{} {:?}", set, alg);
            }
            for (set, ring) in rings(&view) {
                let count = |alg, state| {
                    ring.keys().values().filter(|key| key.alg == alg && key.state == state).count()
                };
                for alg in [Alg::EdDsa, Alg::Es256, Alg::Rs256] {
                    prop_assert!(count(alg, KeyState::Active) <= 1 && count(alg, KeyState::Next) <= 1);
                    if ring.active(alg).is_some() && !signed.contains(&(set.clone(), alg)) {
                        signed.push((set.clone(), alg));
                    }
                }
                let text = std::str::from_utf8(ring.jwks()).unwrap();
                prop_assert!(!text.contains("private") && !text.contains("GCMV1"));
                for key in ring.keys().values() {
                    let published = text.contains(&format!("\"kid\":\"{}\"", key.kid));
                    prop_assert_eq!(published, key.state != KeyState::Retired);
                    prop_assert_eq!(key.activation.is_some(), key.state == KeyState::Next);
                    prop_assert_eq!(
                        key.retire_at.is_some(),
                        matches!(key.state, KeyState::Retiring | KeyState::Retired)
                    );
                }
                let retired = ring.keys().values().filter(|key| key.state == KeyState::Retired).count();
                prop_assert!(retired <= hellojohn_control::limits::RETIRED_KEYS);
            }
        }
    }

    /// spec §4, S24: a client never has a scope that its tenant does not, nor a public one a secret.
    #[test]
    fn clients_stay_within_their_tenant(history in history()) {
        let mut machine = machine();
        apply(&mut machine, &history);
        for entry in machine.view(1).tenants().values() {
            for client in entry.clients.values() {
                prop_assert!(client.scopes.iter().all(|scope| entry.scopes.contains(scope)));
                let confidential = client.client_type == hellojohn_control::documents::ClientType::Confidential;
                prop_assert_eq!(confidential, !client.secrets.is_empty());
                let lasting = client.secrets.iter().filter(|secret| secret.expires_at.is_none()).count();
                prop_assert_eq!(lasting, usize::from(confidential), "one secret has no end");
                prop_assert!(client.secrets.len() <= hellojohn_control::limits::SECRETS);
            }
        }
    }
}

/// The properties above say something only if the histories lead everywhere.
#[test]
fn random_histories_reach_every_outcome() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..900 {
        let history = history().new_tree(&mut runner).unwrap().current();
        let results = apply(&mut machine(), &history);
        for (item, result) in history.iter().zip(results) {
            let result = match result {
                Ok(Outcome::Replayed { .. }) => "replayed".to_owned(),
                Ok(_) => "ok".to_owned(),
                Err(reject) => serde_json::to_value(reject).unwrap()["type"].as_str().unwrap().to_owned(),
            };
            *seen.entry(format!("{} {result}", item.command.action())).or_default() += 1;
        }
    }
    for expected in [
        "client.delete client_not_found",
        "client.delete ok",
        "client.put invalid",
        "client.put ok",
        "client.put precondition_failed",
        "client.secret.rotate ok",
        "client.secret.rotate public_client",
        "cluster.admit_node node_not_found",
        "cluster.admit_node ok",
        "cluster.form already_formed",
        "cluster.form invalid",
        "cluster.form ok",
        "cluster.member.add ok",
        "cluster.member.promote not_joined",
        "cluster.member.promote ok",
        "cluster.member.remove last_voter",
        "cluster.member.remove ok",
        "keys.activate key_not_found",
        "keys.activate not_due",
        "keys.activate ok",
        "keys.ensure_global invalid",
        "keys.ensure_global ok",
        "keys.retire not_due",
        "keys.retire ok",
        "keys.rotate invalid",
        "keys.rotate issuer_mode_global",
        "keys.rotate ok",
        "keys.rotate rotation_pending",
        "keys.rotate tenant_not_found",
        "scopes.put invalid",
        "scopes.put ok",
        "scopes.put scope_in_use",
        "tenant.delete ok",
        "tenant.put idempotency_key_reused",
        "tenant.put replayed",
        "tenant.put invalid",
        "tenant.put key_needed",
        "tenant.put ok",
        "tenant.put precondition_failed",
    ] {
        assert!(seen.get(expected).is_some_and(|n| *n >= 5), "{expected}: {seen:#?}");
    }
}
