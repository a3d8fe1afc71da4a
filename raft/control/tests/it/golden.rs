//! Golden files pin every released command and snapshot format (spec §2.1). They are only ever added to: a
//! change in one of these tests that needs an old file changed is a change that old logs do not survive.
//!
//! `testdata/v1/NN-name.json` are batches, applied in the order of their numbers; `image-after-NN.json` is the
//! image after the batch of that number. To release a command: add the next number and its image.

use std::collections::BTreeSet;

use hellojohn_control::{Batch, Command, Image};

use crate::support::{golden_batches, golden_files, golden_machine, machine};

macro_rules! goldens {
    ($($variant:ident in $file:literal),* $(,)?) => {
        /// The file that pins a command. Exhaustive: a command without a golden file does not compile.
        fn file_of(command: &Command) -> &'static str {
            match command {
                $(Command::$variant { .. } => $file,)*
            }
        }

        /// Each of those files with its text.
        const GOLDENS: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../testdata/v1/", $file)))),*];
    };
}

goldens! {
    FormCluster in "01-form_cluster.json",
    EnsureGlobalKeys in "02-ensure_global_keys.json",
    PutTenant in "03-put_tenant.json",
    PutScopes in "04-put_scopes.json",
    PutClient in "05-put_client.json",
    RotateClientSecret in "06-rotate_client_secret.json",
    RotateKeys in "07-rotate_keys.json",
    ActivateKey in "08-activate_key.json",
    RetireKeys in "09-retire_keys.json",
    DeleteClient in "10-delete_client.json",
    DeleteTenant in "11-delete_tenant.json",
    AdmitNode in "12-admit_node.json",
    AddMember in "13-add_member.json",
    PromoteMember in "14-promote_member.json",
    RemoveMember in "15-remove_member.json",
    RaiseFormat in "17-raise_format.json",
    TrimAudit in "18-trim_audit.json",
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn every_command_stands_in_its_golden_file() {
    for (file, text) in GOLDENS {
        let batch: Batch = serde_json::from_str(text).unwrap();
        assert!(batch.items().iter().any(|item| file_of(&item.command) == *file), "{file}");
    }
}

/// The batch without the JSON that it was read from.
fn rewritten(batch: &Batch) -> Batch {
    Batch::new(batch.items().to_vec())
}

/// JSON without the white space between its tokens.
fn minified(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            let kept = quoted || !c.is_whitespace();
            (quoted, escaped) = match c {
                '"' if !escaped => (!quoted, false),
                '\\' => (quoted, !escaped),
                _ => (quoted, false),
            };
            kept
        })
        .collect()
}

/// A follower writes the bytes to its log that the leader wrote to its own.
#[test]
fn a_batch_that_was_read_is_written_as_it_was_read() {
    for (name, batch) in golden_batches() {
        let bytes = serde_json::to_vec(&rewritten(&batch)).unwrap();
        let read: Batch = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::to_vec(&read).unwrap(), bytes, "{name}");
        assert_eq!(serde_json::to_vec(&read.clone()).unwrap(), bytes, "{name}");
        assert_eq!(read, batch, "{name}");
    }
}

#[test]
fn every_golden_batch_survives_decoding_and_encoding_byte_for_byte() {
    let batches = golden_batches();
    assert!(batches.len() >= GOLDENS.len());
    let files = golden_files();
    for (name, batch) in batches {
        let text = &files.iter().find(|(file, _)| *file == name).unwrap().1;
        assert_eq!(serde_json::to_string(&rewritten(&batch)).unwrap(), minified(text), "{name}");
    }
}

#[test]
fn the_log_form_of_a_golden_batch_is_its_compact_form() {
    for (name, batch) in golden_batches() {
        let bytes = serde_json::to_vec(&rewritten(&batch)).unwrap();
        let start = format!(r#"{{"v":{},"items":["#, batch.version());
        assert!(bytes.starts_with(start.as_bytes()), "{name}: the version comes first");
        assert_eq!(serde_json::from_slice::<Batch>(&bytes).unwrap(), batch, "{name}");
    }
}

#[test]
fn applying_the_golden_batches_gives_the_golden_images() {
    let mut machine = machine();
    let files = golden_files();
    let mut compared = 0;
    let mut last_was_compared = false;
    for (name, batch) in golden_batches() {
        for result in machine.apply(&batch).unwrap() {
            assert!(result.is_ok(), "{name}: {result:?}");
        }
        let number = name.split('-').next().unwrap();
        let image = files.iter().find(|(file, _)| *file == format!("image-after-{number}.json"));
        last_was_compared = image.is_some();
        if let Some((file, text)) = image {
            assert_eq!(pretty(&machine.image()), *text, "{file}");
            compared += 1;
        }
    }
    assert!(last_was_compared, "the last golden batch needs its image");
    assert_eq!(compared, files.len() - golden_batches().len(), "an image belongs to no batch");
}

#[test]
fn every_golden_image_survives_decoding_installing_and_encoding_byte_for_byte() {
    for (name, text) in golden_files().into_iter().filter(|(name, _)| name.starts_with("image")) {
        let image = Image::decode(text.as_bytes()).unwrap();
        let mut machine = machine();
        machine.install(image).unwrap();
        assert_eq!(pretty(&machine.image()), text, "{name}");
    }
}

/// ha.md, I4: nodes are compared by this hash, also across releases.
#[test]
fn the_hash_of_the_golden_image_is_pinned() {
    let machine = golden_machine();
    insta::assert_snapshot!(machine.image().hash().unwrap());
}

#[test]
fn golden_file_names_are_numbered_without_a_gap() {
    let names: Vec<String> = golden_batches().into_iter().map(|(name, _)| name).collect();
    for (i, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:02}-", i + 1)), "{name}");
    }
    let actions: BTreeSet<&str> = golden_batches()
        .iter()
        .flat_map(|(_, batch)| batch.items().iter().map(|item| item.command.action()).collect::<Vec<_>>())
        .collect();
    assert_eq!(actions.len(), GOLDENS.len(), "each command has an action name of its own");
}
