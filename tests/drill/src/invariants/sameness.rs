//! I4, I5, I6: all nodes hold the same state, the same files and the same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::net::NODES;
use crate::observer::has_keys;

/// What differs between nodes that have applied the same.
pub async fn differences(cluster: &Cluster) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hashes = BTreeSet::new();
    let mut key_sets = BTreeSet::new();
    for node in 0..NODES {
        // Told only by releases that have the endpoint; the files are compared in any case.
        if let Some(answer) = cluster.directory.get(node, "/v1/admin/cluster").await
            && let Some(hash) = answer.json().get("state_hash").and_then(Value::as_str)
        {
            hashes.insert(hash.to_owned());
        }
        match cluster.directory.get(node, "/.well-known/jwks.json").await {
            Some(answer) if has_keys(&answer) => {
                key_sets.insert(answer.body);
            }
            Some(answer) => wrong.push(format!("I6: node{} shows no keys ({})", node + 1, answer.status)),
            None => wrong.push(format!("I6: node{} does not answer for its keys", node + 1)),
        }
    }
    if hashes.len() > 1 {
        wrong.push(format!("I4: the nodes have different states: {hashes:?}"));
    }
    if key_sets.len() > 1 {
        wrong.push("I6: the nodes show different key sets".to_owned());
    }
    wrong.extend(files(cluster));
    wrong
}

fn files(cluster: &Cluster) -> Vec<String> {
    let first = tree(&cluster.root(0));
    let mut wrong = Vec::new();
    if first.is_empty() {
        wrong.push("I5: node1 has no files".to_owned());
    }
    for node in 1..NODES {
        let other = tree(&cluster.root(node));
        let names: BTreeSet<&String> = first.keys().chain(other.keys()).collect();
        let differing: Vec<&str> = names
            .into_iter()
            .filter(|name| first.get(*name) != other.get(*name))
            .map(String::as_str)
            .collect();
        if !differing.is_empty() {
            wrong.push(format!("I5: node{} and node1 differ in {}", node + 1, differing.join(", ")));
        }
    }
    wrong
}

/// Every file that the state is projected to, by its path below `root`.
pub fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for top in ["tenants", "keys"] {
        walk(root, &root.join(top), &mut files);
    }
    files
}

fn walk(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.insert(name, std::fs::read(&path).unwrap_or_default());
        }
    }
}
