//! The alerts that are shipped ask for figures that exist, and docs/alerts.md tells what each of them means.

#![expect(clippy::unwrap_used, reason = "a helper of tests that meets the unexpected should fail them")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::Value;

const ALERTS: &str = include_str!("../../deployments/prometheus/alerts.yaml");
const MANUAL: &str = include_str!("../../docs/alerts.md");

/// What Prometheus makes of one histogram.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

#[test]
fn every_figure_of_the_alerts_is_exported() {
    let (asked, exported) = (names(ALERTS), exported());
    assert!(asked.len() > 10, "{asked:?}");
    let unknown: Vec<&String> = asked.iter().filter(|name| !knows(&exported, name)).collect();
    assert!(unknown.is_empty(), "nothing exports {unknown:?}");
}

/// A figure that is renamed or left out must fail the test above.
#[test]
fn a_figure_that_nobody_exports_is_noticed() {
    let exported = exported();
    assert!(knows(&exported, "hellojohn_raft_fsync_seconds_bucket"));
    assert!(!knows(&exported, "hellojohn_raft_fsync_seconds_total"));
    assert!(!knows(&exported, "hellojohn_raft"), "a crate's name is no figure");
}

#[test]
fn every_alert_is_explained_and_every_figure_of_the_manual_is_exported() {
    let rules: Value = serde_yaml::from_str(ALERTS).unwrap();
    let groups = rules["groups"].as_sequence().unwrap();
    let alerts = groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap());
    let mut seen = BTreeSet::new();
    for rule in alerts {
        let name = rule["alert"].as_str().unwrap();
        assert!(seen.insert(name), "{name} is there twice");
        assert!(rule["expr"].is_string() && rule["annotations"]["summary"].is_string(), "{name}");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("warning" | "critical")), "{name}");
        assert!(MANUAL.contains(&format!("`{name}`")), "docs/alerts.md does not tell of {name}");
    }
    assert!(seen.len() > 10, "{seen:?}");
    let exported = exported();
    for name in names(MANUAL) {
        assert!(knows(&exported, &name), "docs/alerts.md names {name}, which nothing exports");
    }
}

/// The names that begin with `hellojohn_` in a text.
fn names(text: &str) -> BTreeSet<String> {
    let part_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !part_of_name(c));
    words.filter(|word| word.starts_with("hellojohn_")).map(str::to_owned).collect()
}

/// The string literals of the product's sources that have the form of a figure's name.
fn exported() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for directory in ["src", "raft/src"] {
        collect(&root.join(directory), &mut found);
    }
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            let text = std::fs::read_to_string(&path).unwrap();
            // What is between two quotes is a literal, or never looks like one name and nothing else.
            let figures = text.split('"').filter(|literal| names(literal).contains(*literal));
            // The log's target of a crate is its name, and no figure.
            let figures =
                figures.filter(|literal| !matches!(*literal, "hellojohn_raft" | "hellojohn_control"));
            found.extend(figures.map(str::to_owned));
        }
    }
}

fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name == "tests.rs"
        || name.ends_with("_tests.rs")
        || path.parent().is_some_and(|directory| directory.ends_with("tests"))
}

fn knows(exported: &BTreeSet<String>, name: &str) -> bool {
    exported.contains(name)
        || PARTS.iter().any(|part| name.strip_suffix(part).is_some_and(|stem| exported.contains(stem)))
}
