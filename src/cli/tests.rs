//! The command line as a whole: its tree, its help, and what a run writes and ends with.

use std::collections::BTreeMap;

use clap::{Command, CommandFactory as _};

use super::tree::Cli;
use super::*;

/// The commands at the ends of the tree, with their words.
fn leaves(command: &Command, words: &str) -> Vec<(String, Command)> {
    let mut found = Vec::new();
    let subcommands: Vec<&Command> = command.get_subcommands().filter(|c| c.get_name() != "help").collect();
    if subcommands.is_empty() {
        found.push((words.to_owned(), command.clone()));
    }
    for subcommand in subcommands {
        found.extend(leaves(subcommand, &format!("{words} {}", subcommand.get_name())));
    }
    found
}

fn tree() -> Command {
    let mut command = Cli::command().term_width(100);
    command.build();
    command
}

struct Ran {
    code: u8,
    out: String,
    err: String,
}

fn ran(line: &str, env: &[(&str, &str)]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = line.split(' ').map(OsString::from);
    let code = run(args, env, directory.path().to_owned(), &mut out, &mut err);
    Ran { code, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[test]
fn the_tree_passes_claps_own_assertions() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_teaches_by_an_example() {
    let leaves = leaves(&tree(), "hellojohn");
    assert!(leaves.len() > 25, "{}", leaves.len());
    for (words, mut command) in leaves {
        let help = command.render_long_help().to_string();
        let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
        assert!(examples.contains("hellojohn"), "{words} has no example");
        assert!(command.get_about().is_some(), "{words} says nothing of itself");
        let after = command.get_after_long_help().unwrap().to_string();
        for line in after.lines() {
            assert!(line.len() <= 99, "{words}: an example that is wrapped cannot be copied: {line}");
        }
    }
}

/// Help is part of the interface: a change of it is seen in review.
#[test]
fn help_of_every_command() {
    let mut tree = tree();
    insta::assert_snapshot!("help", tree.render_long_help().to_string());
    for (words, mut command) in leaves(&tree, "hellojohn") {
        let name = format!("help_{}", words.replace("hellojohn ", "").replace([' ', '-'], "_"));
        insta::assert_snapshot!(name, command.render_long_help().to_string());
    }
}

#[test]
fn options_with_values_before_the_command_are_known() {
    assert_eq!(tree::value_options(), ["--config", "--env-file", "--set", "--output"]);
}

#[test]
fn mistakes_on_the_command_line_are_usage_errors_on_standard_error() {
    for line in [
        "hellojohn nonsense",
        "hellojohn admin tenants get ../x",
        "hellojohn admin mint-token --ttl 1h",
        "hellojohn keys retire",
        "hellojohn keys rotate --activate later",
        "hellojohn dev --port 0",
        "hellojohn --set nonsense config check",
        "hellojohn whoami --url nonsense",
        "hellojohn admin clients put --tenant a w --file x.json --name y",
    ] {
        let ran = ran(line, &[]);
        assert_eq!(ran.code, 2, "{line}: {}", ran.err);
        assert!(ran.out.is_empty() && ran.err.starts_with("error: "), "{line}: {}", ran.err);
    }
}

#[test]
fn help_and_version_are_output() {
    let help = ran("hellojohn --help", &[]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("Exit codes:"));
    let version = ran("hellojohn --version", &[]);
    assert_eq!((version.code, version.out), (0, format!("hellojohn {}\n", env!("CARGO_PKG_VERSION"))));
}

/// Spec §13.13: no subcommand is `serve`; a node without its master keys does not start and says why.
#[test]
fn serve_is_the_default_and_names_what_is_missing() {
    for line in ["hellojohn", "hellojohn -env", "hellojohn serve --env"] {
        let ran = ran(line, &[]);
        assert_eq!(ran.code, 2, "{line}");
        for part in ["SIGNING_MASTER_KEY", "SECRETBOX_MASTER_KEY", "openssl rand"] {
            assert!(ran.err.contains(part), "{line}: {}", ran.err);
        }
    }
}

#[test]
fn errors_are_json_when_output_is() {
    let ran = ran("hellojohn whoami --output json", &[]);
    assert_eq!(ran.code, 3);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["exit_code"], 3);
    assert!(error["error"]["remedy"].as_str().unwrap().contains("HELLOJOHN_EMAIL"));
}

#[test]
fn a_seed_file_with_an_unknown_key_is_refused_before_anything_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seed.yaml");
    std::fs::write(&file, "tenants: [{slug: a, plan: x}]").unwrap();
    let ran = ran(&format!("hellojohn seed {}", file.display()), &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("unknown field `plan`"), "{}", ran.err);
}

/// A node that nobody runs is unavailable, and the credentials that were given stand nowhere.
#[test]
fn a_dead_node_is_exit_5_and_no_credential_is_shown() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let env = [
        ("HELLOJOHN_ADMIN_URL", url.as_str()),
        ("HELLOJOHN_EMAIL", "admin@example.com"),
        ("HELLOJOHN_PASSWORD", "planted-password"),
    ];
    for line in ["hellojohn whoami", "hellojohn admin ping", "hellojohn keys list --output json"] {
        let ran = ran(line, &env);
        assert_eq!(ran.code, 5, "{line}: {}", ran.err);
        assert!(ran.err.contains(&url) && !ran.err.contains("planted"), "{}", ran.err);
    }
    let bearer = [("HELLOJOHN_ADMIN_URL", url.as_str()), ("HELLOJOHN_BEARER", "planted.token")];
    let ran = ran("hellojohn admin tenants list", &bearer);
    assert!(ran.code == 5 && !ran.err.contains("planted"), "{}", ran.err);
}

#[test]
fn the_status_of_a_dead_node_is_a_row_and_exit_5() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = ran(&format!("hellojohn cluster status --url http://127.0.0.1:{port}/"), &[]);
    assert_eq!((ran.code, ran.err.as_str()), (5, ""));
    assert!(ran.out.starts_with("NODE") && ran.out.contains("unreachable"), "{}", ran.out);
}

#[test]
fn certificates_are_made_where_they_were_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let line = format!("hellojohn cluster certs --out {} --node node1", directory.path().display());
    let first = ran(&line, &[]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(directory.path().join("node1-key.pem").is_file() && first.out.contains("node1.pem"));
    let again = ran(&line, &[]);
    assert_eq!(again.code, 4, "{}", again.err);
    assert!(again.err.contains("--overwrite"));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = ran(&format!("hellojohn completions {shell}"), &[]);
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains("mint-token"), "{shell}");
    }
}

#[test]
fn config_commands_are_wired() {
    let keys = [
        ("SIGNING_MASTER_KEY", "0123456789abcdef0123456789abcdef"),
        ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ];
    let check = ran("hellojohn config check --set server.addr=127.0.0.1:9000", &keys);
    assert_eq!(check.code, 0, "{}", check.err);
    assert!(check.out.starts_with("the configuration is valid"));
    let print = ran("hellojohn --set server.addr=127.0.0.1:9000 config print", &keys);
    assert!(print.out.contains("127.0.0.1:9000") && print.out.contains("flag"), "{}", print.out);
    assert!(!print.out.contains(keys[0].1));
    assert_eq!(ran("hellojohn config check", &[]).code, 2);
    assert!(ran("hellojohn config example", &[]).out.contains("CLUSTER_MODE"));
}
