//! Cluster mode: what must be given, what it means, the plaintext rule.

use super::*;
use crate::config::tests::{inputs, loaded, refusal};

const CERT: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----";
const LOCAL: &str = "n1=127.0.0.1:8201;n2=localhost:8202;n3=[::1]:8203";
const REMOTE: &str = "n1=10.0.0.1:8201,n2=10.0.0.2:8201,n3=10.0.0.3:8201";

fn member<'a>(nodes: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut env = vec![("CLUSTER_MODE", "embedded"), ("NODE_ID", "n1"), ("CLUSTER_NODES", nodes)];
    env.extend_from_slice(more);
    env
}

fn embedded(nodes: &str, more: &[(&str, &str)]) -> Embedded {
    loaded(&member(nodes, more)).config.cluster.embedded.unwrap()
}

fn refused(nodes: &str, more: &[(&str, &str)]) -> String {
    let report = refusal(&inputs(&member(nodes, more)));
    assert_eq!(report.lines().count(), 1, "{report}");
    report
}

/// Spec §3.1: the values of CLUSTER_MODE, anything else is a start-up error.
#[test]
fn mode_values() {
    for on in ["embedded", "on", "1", "true"] {
        assert!(loaded(&member(LOCAL, &[("CLUSTER_MODE", on)])).config.cluster.is_embedded(), "{on}");
    }
    for off in ["off", "0", "false", ""] {
        assert!(!loaded(&member(LOCAL, &[("CLUSTER_MODE", off)])).config.cluster.is_embedded(), "{off}");
    }
    for bad in ["yes", "raft", "Embedded"] {
        assert!(refused(LOCAL, &[("CLUSTER_MODE", bad)]).contains(&format!(
            "cluster.mode (CLUSTER_MODE): \"{bad}\" is not a cluster mode; write embedded or off"
        )));
    }
}

#[test]
fn several_nodes_without_cluster_mode_are_told() {
    let warnings = loaded(&[("CLUSTER_NODES", LOCAL), ("NODE_ID", "other")]).warnings;
    assert!(warnings.iter().any(|warning| warning.text.contains("set CLUSTER_MODE=embedded")));
}

/// Issue 2: NODE_ID not in CLUSTER_NODES names the setting and the remedy.
#[test]
fn a_member_needs_its_name_and_the_nodes() {
    assert!(refused(LOCAL, &[("NODE_ID", "n9")]).contains(
        "cluster.node_id (NODE_ID): \"n9\" is not in CLUSTER_NODES; set NODE_ID to one of: n1, n2, n3; \
         or add this node to CLUSTER_NODES"
    ));
    assert!(refused(LOCAL, &[("NODE_ID", "")]).contains("cluster.node_id (NODE_ID): is not set"));
    assert!(refused("", &[]).contains("cluster.nodes (CLUSTER_NODES): is empty"));
    assert!(refused("n1=nowhere", &[]).contains("cluster.nodes (CLUSTER_NODES): the item of n1"));
}

/// Spec §3.2: all loopback, so `:port` binds 127.0.0.1.
#[test]
fn loopback_nodes_need_no_tls_and_bind_loopback() {
    let cluster = embedded(LOCAL, &[("RAFT_ADDR", ":8201")]);
    assert_eq!(cluster.raft_addr.to_string(), "127.0.0.1:8201");
    assert!(matches!(cluster.security, Security::LoopbackPlaintext));
    assert_eq!(embedded(LOCAL, &[]).raft_addr.to_string(), "127.0.0.1:8201", "from the own entry");
}

/// Spec §3.2, S110.
#[test]
fn plaintext_beyond_this_machine_is_refused_unless_insisted_on() {
    let report = refused(REMOTE, &[]);
    assert!(report.starts_with(
        "cluster.raft_tls_enable (RAFT_TLS_ENABLE): is off, and n1 at 10.0.0.1:8201 is on a network; "
    ));
    assert!(report.contains("RAFT_ALLOW_PLAINTEXT=1"));
    assert!(
        refused(LOCAL, &[("RAFT_ADDR", "0.0.0.0:8201")])
            .contains("would bind 0.0.0.0:8201 beyond this machine")
    );
    let allowed = loaded(&member(REMOTE, &[("RAFT_ALLOW_PLAINTEXT", "1")]));
    let cluster = allowed.config.cluster.embedded.unwrap();
    assert!(matches!(cluster.security, Security::AllowedPlaintext));
    assert_eq!(cluster.raft_addr.to_string(), ":8201");
    assert!(allowed.warnings.iter().any(|warning| warning.key == Some("cluster.raft_allow_plaintext")));
}

/// Spec §3.1: each TLS value takes a path or inline PEM.
#[test]
fn tls_takes_paths_and_inline_pem() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, CERT).unwrap();
    let env = [
        ("RAFT_TLS_ENABLE", "1"),
        ("RAFT_TLS_CERT", CERT),
        ("RAFT_TLS_KEY_FILE", KEY),
        ("RAFT_TLS_CA_FILE", ca.to_str().unwrap()),
        ("RAFT_ADDR", ":8201"),
    ];
    let cluster = embedded(REMOTE, &env);
    assert_eq!(cluster.raft_addr.to_string(), ":8201");
    let Security::Tls(tls) = cluster.security else { panic!("TLS is on") };
    assert_eq!((tls.cert.text.expose(), tls.key.text.expose(), tls.ca.text.expose()), (CERT, KEY, CERT));
    assert_eq!(tls.server_name, None);

    let shown = loaded(&member(REMOTE, &env)).sources;
    let value = |key: &str| shown.iter().find(|row| row.setting.key == key).unwrap().value.clone();
    assert_eq!(value("cluster.raft_tls_key"), Some("***".to_owned()));
    assert_eq!(value("cluster.raft_tls_ca"), Some(ca.to_str().unwrap().to_owned()));
}

#[test]
fn missing_and_unreadable_tls_material_is_all_reported() {
    let env = member(REMOTE, &[("RAFT_TLS_ENABLE", "1"), ("RAFT_TLS_KEY", "/nowhere/key.pem")]);
    let report = refusal(&inputs(&env));
    for expected in [
        "cluster.raft_tls_cert (RAFT_TLS_CERT_FILE): is not set, and raft_tls_enable is on",
        "cluster.raft_tls_key (RAFT_TLS_KEY_FILE): cannot read \"/nowhere/key.pem\"",
        "cluster.raft_tls_ca (RAFT_TLS_CA_FILE): is not set",
    ] {
        assert!(report.contains(expected), "{report}");
    }
    let unused = loaded(&member(LOCAL, &[("RAFT_TLS_CA", CERT)]));
    assert!(unused.warnings.iter().any(|warning| warning.key == Some("cluster.raft_tls_ca")));
}

#[test]
fn names_that_no_certificate_can_carry_need_a_server_name() {
    let tls =
        [("RAFT_TLS_ENABLE", "1"), ("RAFT_TLS_CERT", CERT), ("RAFT_TLS_KEY", KEY), ("RAFT_TLS_CA", CERT)];
    let nodes = "n1=10.0.0.1:8201,node/2=10.0.0.2:8201";
    assert!(refused(nodes, &tls).contains(
        "cluster.raft_tls_server_name (RAFT_TLS_SERVER_NAME): is not set, and the node name node/2 cannot"
    ));
    let mut named = tls.to_vec();
    named.push(("RAFT_TLS_SERVER_NAME", "raft.internal"));
    let Security::Tls(tls) = embedded(nodes, &named).security else { panic!("TLS is on") };
    assert_eq!(tls.server_name.as_deref(), Some("raft.internal"));
}

#[test]
fn timers_must_fit_together() {
    for (heartbeat, min, max) in [("38", "150", "450"), ("50", "450", "450"), ("50", "500", "450")] {
        let report = refused(
            LOCAL,
            &[("RAFT_HEARTBEAT_MS", heartbeat), ("RAFT_ELECTION_MIN_MS", min), ("RAFT_ELECTION_MAX_MS", max)],
        );
        assert!(report.contains("keep 4 × raft_heartbeat_ms <= raft_election_min_ms < raft_election_max_ms"));
    }
    let calm = loaded(&[("RAFT_HEARTBEAT_MS", "75"), ("RAFT_ELECTION_MAX_MS", "2000")]).config.cluster;
    assert_eq!(calm.timers.heartbeat, Duration::from_millis(75));
    assert_eq!(calm.write_timeout, Duration::from_secs(4), "twice the election maximum");
    let set = loaded(&[("CLUSTER_WRITE_TIMEOUT_MS", "2500")]).config.cluster;
    assert_eq!(set.write_timeout, Duration::from_millis(2_500));
}

/// An invalid election time is reported once; the timeout that derives from it says nothing.
#[test]
fn a_derived_default_does_not_repeat_the_problem() {
    assert!(refused(LOCAL, &[("RAFT_ELECTION_MAX_MS", "soon")]).contains("cluster.raft_election_max_ms"));
}

#[test]
fn write_modes() {
    assert_eq!(loaded(&[("CLUSTER_WRITE_MODE", "redirect")]).config.cluster.write_mode, WriteMode::Redirect);
    assert_eq!(loaded(&[("CLUSTER_WRITE_MODE", "forward")]).config.cluster.write_mode, WriteMode::Forward);
    let refused = refused(LOCAL, &[("CLUSTER_WRITE_MODE", "proxy")]);
    assert!(
        refused.contains("\"proxy\" is not a write mode; write reject, redirect or forward"),
        "{refused}"
    );
}

/// Spec §3.3, S109: only a mapped leader whose host is allowed; an empty list allows the mapped hosts.
#[test]
fn redirects_go_to_mapped_and_allowed_hosts_only() {
    let map = ("LEADER_REDIRECTS", "n1=https://a.example.com:8443; n2=https://b.example.com");
    let target = |cluster: &Embedded, id: &str| {
        cluster.redirect_to(&NodeName::parse(id).unwrap()).map(ToString::to_string)
    };
    let open = embedded(LOCAL, &[map]);
    assert_eq!(target(&open, "n1").as_deref(), Some("https://a.example.com:8443"));
    assert_eq!(target(&open, "n3"), None);
    let env = member(LOCAL, &[map, ("LEADER_REDIRECT_ALLOWED_HOSTS", "b.example.com, c.example.com")]);
    let limited = loaded(&env);
    assert!(limited.warnings.iter().any(|warning| warning.text.contains("the host of n1 is not in")));
    let limited = limited.config.cluster.embedded.unwrap();
    assert_eq!(target(&limited, "n1"), None);
    assert_eq!(target(&limited, "n2").as_deref(), Some("https://b.example.com"));
}
