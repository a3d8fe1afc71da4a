//! Conditions on commands: `If-Match` and `If-None-Match: *` (spec §3.3, RFC 9110 §13.1).

use serde_json::json;

use super::support::{ACME, Bench, WEB, client_id, put_client, put_tenant, secret, slug};
use crate::{Command, Precondition, Reject, ScopesMode};

fn revision(n: u64) -> Option<Precondition> {
    Some(Precondition::Revision(vec![n]))
}

fn failed<T>(current: Option<u64>) -> Result<T, Reject> {
    Err(Reject::PreconditionFailed { current })
}

/// Each command that changes one document, with acme and its client at revision 2, its catalogue at 2.
fn commands() -> Vec<Command> {
    let (slug, client_id) = (slug(ACME), client_id(WEB));
    vec![
        put_tenant(ACME, json!({"name": "x"}), &[]),
        put_client(ACME, WEB, json!({"name": "x"}), 3),
        Command::PutScopes { slug: slug.clone(), scopes: Vec::new(), mode: ScopesMode::Replace },
        Command::RotateClientSecret {
            slug: slug.clone(),
            client_id: client_id.clone(),
            secret: secret(9),
            overlap_seconds: 0,
        },
        Command::DeleteClient { slug: slug.clone(), client_id },
        Command::DeleteTenant { slug },
    ]
}

fn bench() -> Bench {
    let mut bench = Bench::with_acme();
    bench.tenant(ACME, json!({"name": "Acme"}));
    bench.client(WEB, json!({}), 1);
    bench.client(WEB, json!({"client_type": "confidential"}), 2);
    bench.scopes(json!([{"name": "a"}]), ScopesMode::Merge);
    bench
}

#[test]
fn a_stale_revision_is_refused_and_the_current_one_told() {
    for command in commands() {
        for stale in [1, 3] {
            assert_eq!(bench().run_if(revision(stale), command.clone()), failed(Some(2)), "{command:?}");
        }
        assert_eq!(bench().run_if(Some(Precondition::Revision(vec![])), command.clone()), failed(Some(2)));
    }
}

#[test]
fn one_of_the_given_revisions_is_enough() {
    for command in commands() {
        let condition = Some(Precondition::Revision(vec![7, 2]));
        assert!(bench().run_if(condition, command.clone()).is_ok(), "{command:?}");
    }
}

#[test]
fn what_does_not_exist_matches_no_revision() {
    let mut bench = Bench::new();
    assert_eq!(bench.run_if(revision(1), put_tenant(ACME, json!({}), &[])), failed(None));
    bench.tenant(ACME, json!({}));
    assert_eq!(bench.run_if(revision(1), put_client(ACME, WEB, json!({}), 1)), failed(None));
}

#[test]
fn a_document_that_went_does_not_match_its_last_revision() {
    let mut bench = bench();
    bench.run(Command::DeleteTenant { slug: slug(ACME) }).unwrap();
    assert_eq!(bench.run_if(revision(2), put_tenant(ACME, json!({}), &[])), failed(None));
}

#[test]
fn create_only_creates_only() {
    let mut bench = Bench::new();
    let absent = Some(Precondition::Absent);
    bench.run_if(absent.clone(), put_tenant(ACME, json!({}), &[])).unwrap();
    assert_eq!(bench.run_if(absent.clone(), put_tenant(ACME, json!({}), &[])), failed(Some(1)));
    bench.run_if(absent.clone(), put_client(ACME, WEB, json!({}), 1)).unwrap();
    assert_eq!(bench.run_if(absent, put_client(ACME, WEB, json!({}), 1)), failed(Some(1)));
}

#[test]
fn what_is_missing_is_not_found_whatever_the_condition() {
    let mut bench = Bench::new();
    let commands = commands().into_iter().skip(1);
    for command in commands {
        assert_eq!(bench.run_if(revision(1), command.clone()), Err(Reject::TenantNotFound), "{command:?}");
    }
    bench.tenant(ACME, json!({}));
    for command in commands_on_client() {
        assert_eq!(bench.run_if(revision(1), command.clone()), Err(Reject::ClientNotFound), "{command:?}");
    }
}

fn commands_on_client() -> impl Iterator<Item = Command> {
    commands().into_iter().filter(|command| match command {
        Command::RotateClientSecret { .. } | Command::DeleteClient { .. } => true,
        Command::PutTenant { .. }
        | Command::PutClient { .. }
        | Command::PutScopes { .. }
        | Command::DeleteTenant { .. }
        | Command::FormCluster { .. }
        | Command::AdmitNode { .. }
        | Command::AddMember { .. }
        | Command::PromoteMember { .. }
        | Command::RemoveMember { .. }
        | Command::RaiseFormat { .. }
        | Command::TrimAudit { .. }
        | Command::EnsureGlobalKeys { .. }
        | Command::RotateKeys { .. }
        | Command::ActivateKey { .. }
        | Command::RetireKeys { .. } => false,
    })
}
