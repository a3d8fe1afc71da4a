//! The layers of docs/architecture.md, read from the sources: who may name whom.

#![expect(clippy::unwrap_used, reason = "a helper of tests that meets the unexpected should fail them")]

mod planted;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::Source;

/// The layers of `src/`, lowest first. A module names lower layers, and its siblings in one direction only.
const LAYERS: [&[&str]; 6] = [
    &["domain"],
    &["crypto", "config"],
    &["store", "cluster", "mail", "providers"],
    &["service"],
    &["http", "jobs"],
    &["boot", "cli"],
];

/// Where alone a crate or path may be named. A file is meant by its prefix from the workspace root.
const HOMES: &[(&str, &[&str])] = &[
    ("hellojohn_raft", &["src/cluster/", "src/boot/"]),
    ("openraft", &["raft/src/"]),
    ("sled", &["raft/src/log/", "raft/src/log.rs"]),
    ("serde_yaml", &["src/config/", "raft/src/project/"]),
    // A private server is asked whether it answers before the store knows of it.
    ("sqlx", &["src/store/", "src/boot/private_postgres"]),
    ("axum", &["src/http/", "src/boot/"]),
    ("redis", &["src/store/limiter/"]),
    ("lettre", &["src/mail/"]),
    ("minijinja", &["src/mail/", "src/http/pages/"]),
];

/// What a part of the tree must never name.
const NEVER: &[(&str, &[&str])] = &[
    (
        "raft/control/src/",
        &[
            "tokio",
            "openraft",
            "sled",
            "rand",
            "hellojohn",
            "hellojohn_raft",
            "std::fs",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
            "std::env",
            "std::process",
            "std::thread",
            "std::time::SystemTime",
            "std::time::Instant",
            "time::OffsetDateTime::now_utc",
            "OffsetDateTime::now_utc",
            "uuid::Uuid::new_v4",
            "uuid::Uuid::now_v7",
            "Uuid::new_v4",
            "Uuid::now_v7",
        ],
    ),
    ("src/service/", &["hyper", "tower", "tower_http", "reqwest"]),
    ("src/domain/", &["tokio", "std::fs", "std::net", "std::process", "reqwest", "hyper"]),
];

/// Crates that make a machine impure, as dependencies of `hellojohn-control`.
const IMPURE_CRATES: &[&str] = &["tokio", "openraft", "sled", "rand", "hellojohn-raft", "futures", "mio"];

/// Calls that write to a file system.
const WRITES: &[&str] = &[
    "fs::write",
    "fs::rename",
    "fs::remove_file",
    "fs::remove_dir_all",
    "fs::create_dir",
    "fs::create_dir_all",
    "fs::copy",
    "File::create",
    "File::create_new",
    "OpenOptions::new",
];

/// Every rule that the sources break, one line each.
fn violations(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources {
        found.extend(homes(source));
        found.extend(never(source));
        found.extend(writers_of_projected_files(source));
        found.extend(makers_of_write_contexts(source));
        found.extend(layer(source));
    }
    found.extend(sibling_cycles(sources));
    found.extend(second_homes_of_yaml(sources));
    found
}

fn homes(source: &Source) -> impl Iterator<Item = String> {
    HOMES
        .iter()
        .filter(|(name, homes)| source.uses(name) && !homes.iter().any(|home| source.path.starts_with(home)))
        .map(|(name, homes)| format!("{}: only {} may name {name}", source.path, homes.join(", ")))
}

fn never(source: &Source) -> impl Iterator<Item = String> {
    NEVER.iter().filter(|(place, _)| source.path.starts_with(place)).flat_map(move |(place, names)| {
        let named = names.iter().filter(|name| source.uses(name));
        named.map(move |name| format!("{}: {place} must not name {name}", source.path))
    })
}

/// Architecture rule 3: only `raft/src/project` writes under `tenants/` and `keys/`.
fn writers_of_projected_files(source: &Source) -> Option<String> {
    let names_the_trees = source.literals.iter().any(|text| {
        ["tenants", "keys"].iter().any(|tree| text == tree || text.starts_with(&format!("{tree}/")))
    });
    let writes = WRITES.iter().any(|call| source.uses_suffix(call));
    let allowed = source.path.starts_with("raft/src/project/");
    (names_the_trees && writes && !allowed)
        .then(|| format!("{}: only raft/src/project writes under tenants/ and keys/", source.path))
}

/// T42: a `WriteContext` is the proof of the leader gate, so only the gate makes one.
fn makers_of_write_contexts(source: &Source) -> Option<String> {
    let allowed = ["src/http/plane.rs", "src/service/write_context.rs"].contains(&source.path.as_str());
    (source.uses_suffix("WriteContext::after_gate") && !allowed)
        .then(|| format!("{}: only the leader gate makes a WriteContext", source.path))
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top-level modules of `src/` that a source names, itself excluded.
fn named_modules(source: &Source) -> BTreeSet<String> {
    let own = source.module().first().map(|own| (*own).to_owned());
    source
        .own_modules()
        .filter_map(|path| path.first().map(|first| (*first).to_owned()))
        .filter(|module| Some(module) != own.as_ref() && layer_of(module).is_some())
        .collect()
}

fn layer(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("src/") else { return vec![] };
    if matches!(inside, "lib.rs" | "main.rs") {
        return vec![];
    }
    let own = source.module().first().copied().unwrap_or_default();
    let Some(height) = layer_of(own) else {
        return vec![format!(
            "{}: module {own} has no layer; give it one in tests/it/layers.rs",
            source.path
        )];
    };
    named_modules(source)
        .into_iter()
        .filter(|module| layer_of(module).is_some_and(|other| other > height))
        .map(|module| format!("{}: {own} is below {module} and must not name it", source.path))
        .collect()
}

fn sibling_cycles(sources: &[Source]) -> Vec<String> {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let Some(own) = source.module().first().map(|own| (*own).to_owned()) else { continue };
        let siblings = named_modules(source).into_iter().filter(|other| layer_of(other) == layer_of(&own));
        edges.entry(own.clone()).or_default().extend(siblings);
    }
    let reaches = |from: &str, to: &str| {
        let (mut open, mut seen) = (vec![from.to_owned()], BTreeSet::new());
        while let Some(at) = open.pop() {
            for next in edges.get(&at).into_iter().flatten() {
                if next == to {
                    return true;
                }
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        false
    };
    let modules = edges.keys().filter(|module| reaches(module, module));
    modules.map(|module| format!("src/{module}: siblings of one layer name each other in a circle")).collect()
}

/// One module a crate, so that replacing the library is one file's work.
fn second_homes_of_yaml(sources: &[Source]) -> Vec<String> {
    ["src/", "raft/src/"]
        .iter()
        .filter_map(|root| {
            let inside = |source: &&Source| source.path.starts_with(root) && source.uses("serde_yaml");
            let files: Vec<&str> = sources.iter().filter(inside).map(|source| source.path.as_str()).collect();
            (files.len() > 1)
                .then(|| format!("{root}: serde_yaml in more than one module: {}", files.join(", ")))
        })
        .collect()
}

fn read_tree(root: &Path, dir: &Path, into: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_tree(root, &path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            into.push(Source::read(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn workspace() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for dir in ["src", "raft/src", "raft/control/src"] {
        read_tree(root, &root.join(dir), &mut sources);
    }
    sources
}

#[test]
fn the_layers_hold() {
    let sources = workspace();
    assert!(sources.iter().any(|s| s.path == "src/http/plane.rs" && s.uses("axum::middleware::Next")));
    let found: Vec<String> = violations(&sources).into_iter().collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_control_machine_depends_on_nothing_impure() {
    let manifest = include_str!("../../raft/control/Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).unwrap();
    let dependencies: Vec<&str> = section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()))
        .collect();
    assert!(dependencies.contains(&"serde"), "{dependencies:?}");
    let impure: Vec<_> = dependencies.iter().filter(|name| IMPURE_CRATES.contains(*name)).collect();
    assert!(impure.is_empty(), "{impure:?}");
}
