//! spec §3.3, S109, F25

use proptest::prelude::*;
use url::Url;

use super::*;
use crate::config;

const TARGETS: [(&str, &str); 3] =
    [("n1", "http://one.test:8081"), ("n2", "https://two.test"), ("n3", "http://[::1]:8083")];

fn redirects(mode: WriteMode) -> LeaderRedirects {
    let target = |(node, url): (&str, &str)| (node.to_owned(), BaseUrl::parse(url).unwrap());
    LeaderRedirects::new(TARGETS.map(target), mode)
}

fn asked<'a>(path: &'a str, query: Option<&'a str>) -> Asked<'a> {
    Asked { path, query, header: None, secure: false }
}

const PATH: &str = "/v1/admin/tenants/acme";

#[test]
fn a_follower_answers_409_with_the_mapped_address_until_it_is_asked_to_redirect() {
    let map = redirects(WriteMode::Reject);
    let conflict = FollowerAnswer::Conflict { url: Some("http://one.test:8081".into()) };
    assert_eq!(follower_answer(&map, "n1", &asked(PATH, None)), conflict);
    assert_eq!(follower_answer(&map, "n1", &asked(PATH, Some("leader_redirect=0"))), conflict);
    assert_eq!(follower_answer(&map, "n1", &asked(PATH, Some("leader_redirect"))), conflict);
    assert_eq!(follower_answer(&map, "n1", &asked(PATH, Some("x_leader_redirect=1"))), conflict);
    assert_eq!(follower_answer(&map, "n9", &asked(PATH, None)), FollowerAnswer::Conflict { url: None });
}

#[test]
fn asked_by_query_or_header_it_redirects_with_path_and_query_but_without_the_parameter() {
    let map = redirects(WriteMode::Reject);
    let location = |query, header| match follower_answer(
        &map,
        "n1",
        &Asked { path: PATH, query, header, secure: false },
    ) {
        FollowerAnswer::Redirect { location, .. } => location,
        FollowerAnswer::Conflict { .. } => panic!("no redirect for {query:?} {header:?}"),
    };
    assert_eq!(location(Some("leader_redirect=1"), None), "http://one.test:8081/v1/admin/tenants/acme");
    assert_eq!(location(None, Some("1")), "http://one.test:8081/v1/admin/tenants/acme");
    assert_eq!(
        location(Some("a=%2F&leader_redirect=1&b&leader%5Fredirect=1"), None),
        "http://one.test:8081/v1/admin/tenants/acme?a=%2F&b"
    );
}

#[test]
fn redirect_mode_redirects_unasked_and_answers_409_where_unmapped() {
    let map = redirects(WriteMode::Redirect);
    assert!(matches!(follower_answer(&map, "n3", &asked(PATH, None)), FollowerAnswer::Redirect { .. }));
    assert_eq!(follower_answer(&map, "n9", &asked(PATH, None)), FollowerAnswer::Conflict { url: None });
}

#[test]
fn a_host_outside_the_allow_list_gets_409_without_url() {
    let answer = |allowed: &str, leader: &str| {
        let map = TARGETS.map(|(node, url)| format!("{node}={url}")).join(",");
        let env = [
            ("CLUSTER_MODE", "embedded"),
            ("NODE_ID", "n1"),
            ("CLUSTER_NODES", "n1=127.0.0.1:8201,n2=127.0.0.1:8202,n3=127.0.0.1:8203"),
            ("LEADER_REDIRECTS", &map),
            ("LEADER_REDIRECT_ALLOWED_HOSTS", allowed),
            ("SIGNING_MASTER_KEY", "0123456789abcdef0123456789abcdef"),
            ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let loaded = config::load(&config::Inputs { env, ..config::Inputs::default() }).unwrap();
        let map = LeaderRedirects::from_config(&loaded.config.cluster);
        follower_answer(&map, leader, &asked(PATH, Some("leader_redirect=1")))
    };
    for (allowed, leader, ok) in [
        ("", "n1", true),
        ("two.test", "n1", false),
        ("one.test", "n1", true),
        ("one.test:80", "n1", false),
        ("two.test:443", "n2", true),
        ("[::1]:8083", "n3", true),
        ("one.test.evil", "n1", false),
    ] {
        let answer = answer(allowed, leader);
        assert_eq!(matches!(answer, FollowerAnswer::Redirect { .. }), ok, "{allowed:?} {leader}");
        assert_eq!(answer == FollowerAnswer::Conflict { url: None }, !ok, "{allowed:?} {leader}");
    }
}

#[test]
fn never_from_https_to_http() {
    let map = redirects(WriteMode::Redirect);
    let secure = Asked { secure: true, ..asked(PATH, None) };
    assert_eq!(follower_answer(&map, "n1", &secure), FollowerAnswer::Conflict { url: None });
    assert!(matches!(follower_answer(&map, "n2", &secure), FollowerAnswer::Redirect { .. }));
}

#[test]
fn only_admin_routes_are_redirected() {
    let map = redirects(WriteMode::Redirect);
    for path in [
        "/v1/auth/login",
        "/v1/administrator",
        "//evil.test/v1/admin",
        "/oauth2/token",
        "/v1/admin/../auth/login",
        "/v1/admin/%2e%2E/auth/login",
        "/v1/admin/.%2e/x",
        "/v1/admin/\\evil",
        "",
    ] {
        let answer = follower_answer(&map, "n1", &asked(path, None));
        assert_eq!(answer, FollowerAnswer::Conflict { url: None }, "{path}");
    }
}

proptest! {
    /// Whatever the path, query and header: a location is the configured origin, under /v1/admin, and
    /// still both after a client's URL parser has normalised it.
    #[test]
    fn a_location_is_always_a_configured_origin_under_v1_admin(
        path in prop_oneof![
            "(/|//|/v1/admin|/\\.\\.|/%2e%2e|/%2E\\.|\\\\|@evil\\.test|/evil\\.test|/a|:80|%00|%0d%0a|#|\\?){0,6}",
            "/v1/admin(/|//|\\.\\.|/%2e%2e|/%2E\\.|\\\\|@evil\\.test|/a|:80|%00|%0d%0a){0,6}",
        ],
        query in proptest::option::of("(leader_redirect=1|&|a=b|//evil\\.test|%0a|#|@|=|\\?| ){0,6}"),
        header in proptest::option::of("1|0|true"),
        leader in "n[1-4]",
        secure in any::<bool>(),
        always in any::<bool>(),
    ) {
        let map = redirects(if always { WriteMode::Redirect } else { WriteMode::Reject });
        let asked = Asked { path: &path, query: query.as_deref(), header: header.as_deref(), secure };
        match follower_answer(&map, &leader, &asked) {
            FollowerAnswer::Conflict { .. } => {}
            FollowerAnswer::Redirect { url, location } => {
                let parsed = Url::parse(&location).unwrap();
                prop_assert!(TARGETS.iter().any(|(node, known)| *node == leader && *known == url));
                prop_assert_eq!(parsed.origin().ascii_serialization(), url);
                prop_assert!(parsed.path() == "/v1/admin" || parsed.path().starts_with("/v1/admin/"));
                prop_assert!(!secure || parsed.scheme() == "https");
                prop_assert!(parsed.username().is_empty() && parsed.fragment().is_none());
                prop_assert!(parsed.query_pairs().all(|(key, _)| key != "leader_redirect"));
                prop_assert!(axum::http::HeaderValue::from_str(&location).is_ok());
            }
        }
    }
}
