//! The layer test, tested: each planted violation is found, and what only looks like one is not.

use super::{Source, violations};

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    violations(&sources).into_iter().collect()
}

#[test]
fn planted_violations_are_found() {
    for (path, text) in [
        // Layers, in every way a path can be written.
        ("src/service/login.rs", "use crate::http::Edge;"),
        ("src/service/login.rs", "use crate::{domain::user::User, http::{Edge, Plane}};"),
        ("src/service/login.rs", "fn f() { crate::boot::start() }"),
        ("src/service/login.rs", "fn f() -> Vec<crate::http::Edge> { vec![] }"),
        ("src/service/login.rs", "use super::super::http::Edge;"),
        ("src/service/mod.rs", "use super::http;"),
        ("src/domain/user.rs", "pub(crate) use crate::store as s;"),
        ("src/store/pg/mod.rs", "use crate::service::Error;"),
        ("src/http/admin/ping.rs", "use crate::cli::Args;"),
        ("src/newcomer/mod.rs", ""),
        // Homes.
        ("src/service/put_client.rs", "use hellojohn_raft::Node;"),
        ("src/http/health.rs", "fn f(n: &hellojohn_raft::Node) {}"),
        ("src/cluster/port.rs", "use openraft::Raft;"),
        ("raft/src/node.rs", "use sled::Db;"),
        ("raft/src/snapshot/mod.rs", "use {sled as s, std::fs};"),
        ("raft/src/node.rs", "extern crate sled;"),
        ("src/cli/seed.rs", "let x = serde_yaml::from_str(text);"),
        ("src/service/login.rs", "sqlx::query(\"select 1\")"),
        ("src/service/login.rs", "use axum::http::StatusCode;"),
        ("src/service/limits.rs", "redis::cmd(\"GET\")"),
        // Purity.
        ("raft/control/src/machine/mod.rs", "use std::time::SystemTime;"),
        ("raft/control/src/machine/mod.rs", "use std::{collections::BTreeMap, fs::File};"),
        ("raft/control/src/machine/mod.rs", "let id = uuid::Uuid::new_v4();"),
        ("raft/control/src/machine/mod.rs", "tokio::spawn(x);"),
        // Files.
        ("raft/src/node.rs", "std::fs::write(root.join(\"tenants\").join(slug), bytes)"),
        ("src/cli/keys.rs", "File::create(format!(\"keys/{slug}/x\"))"),
        // The gate.
        ("src/http/admin/put.rs", "let w = WriteContext::after_gate(p, r, i, c);"),
        ("src/jobs/sweep.rs", "crate::service::WriteContext::after_gate(p, r, i, c)"),
    ] {
        assert_eq!(found(&[(path, text)]).len(), 1, "{path}: {text}: {:?}", found(&[(path, text)]));
    }
}

#[test]
fn siblings_may_name_each_other_in_one_direction_only() {
    let there = ("src/cli/serve.rs", "use crate::boot::assemble;");
    let back = ("src/boot/assemble.rs", "use crate::cli::Args;");
    assert!(found(&[there]).is_empty());
    assert_eq!(found(&[there, back]).len(), 2);
}

#[test]
fn yaml_has_one_module_a_crate() {
    let one = ("src/config/yaml.rs", "use serde_yaml::Value;");
    let two = ("src/config/load.rs", "use serde_yaml::Value;");
    let other_crate = ("raft/src/project/yaml.rs", "use serde_yaml::Value;");
    assert!(found(&[one, other_crate]).is_empty());
    assert_eq!(found(&[one, two, other_crate]).len(), 1);
}

#[test]
fn what_only_looks_like_a_violation_is_none() {
    for (path, text) in [
        (
            "src/service/login.rs",
            "//! Never names `crate::http::Edge`.\n/* use crate::http; /* crate::boot */ */",
        ),
        ("src/service/login.rs", "const TEXT: &str = \"use crate::http::Edge; \\\" crate::boot::x\";"),
        ("src/service/login.rs", "const TEXT: &str = r#\"crate::http::\"Edge\"\"#; const C: char = '\"';"),
        ("src/service/login.rs", "fn f<'a>(x: &'a str) {} use crate::store::Error;"),
        ("src/service/login.rs", "use super::http_free::x; use crate::service::code::Code;"),
        ("src/service/login.rs", "#[cfg(test)]\nmod tests {\n    use crate::http::Edge;\n}"),
        ("src/http/router/tests.rs", "use crate::boot::Everything;"),
        ("src/http/x.rs", "use crate::{domain::rng::Rng, service::Error, config::Http};"),
        ("src/boot/assemble.rs", "use hellojohn_raft::Node;"),
        ("raft/src/log/store.rs", "use sled::{Db, Tree};"),
        ("raft/src/project/writer.rs", "std::fs::write(root.join(\"tenants\"), bytes)"),
        ("raft/src/node.rs", "std::fs::write(root.join(\"raft\"), bytes)"),
        ("src/cli/mint.rs", "std::fs::read(root.join(\"keys/_global\"))"),
        ("raft/control/src/machine/mod.rs", "use std::time::Duration; use time::OffsetDateTime;"),
        ("raft/src/node.rs", "let sled_like = unsled::x();"),
    ] {
        assert!(found(&[(path, text)]).is_empty(), "{path}: {text}: {:?}", found(&[(path, text)]));
    }
}
