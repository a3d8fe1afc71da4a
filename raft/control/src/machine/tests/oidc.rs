//! What OpenID Connect asks of clients and upstream providers, and from which format on (decision 0016).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{ACME, Bench, WEB, client_id, finding, findings, put_client, put_tenant, slug};
use crate::documents::{AuthMethod, Client, ClientPatch, ClientType, ResponseMode};
use crate::format::{FIRST_FORMAT, OIDC_FORMAT};
use crate::{Command, Reject};

/// A bench with the tenant `acme`, of a cluster that writes format 3.
fn upgraded() -> Bench {
    let mut bench = Bench::with_acme();
    let members = BTreeMap::from([("n1".to_owned(), 1)]);
    bench.run(Command::FormCluster { cluster_id: Uuid::from_u128(7), members }).unwrap();
    bench.run(Command::RaiseFormat { to: OIDC_FORMAT, seen: [1].into() }).unwrap();
    bench
}

fn ed() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn ec() -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": "ec",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

/// A number of that many bytes that begins with `first` and ends with `last`.
fn number(bytes: usize, first: u8, last: u8) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut all = vec![0x55; bytes];
    all[0] = first;
    all[bytes - 1] = last;
    let mut text = String::new();
    for chunk in all.chunks(3) {
        let value = chunk.iter().fold(0_u32, |v, b| v << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            text.push(char::from(ALPHABET[usize::try_from(value >> (18 - 6 * i)).unwrap() & 63]));
        }
    }
    text
}

fn rsa(bytes: usize) -> Value {
    json!({"kty": "RSA", "n": number(bytes, 0x80, 1), "e": "AQAB", "kid": "rsa"})
}

fn signed(keys: &[Value]) -> Value {
    json!({"client_type": "confidential", "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": keys}})
}

/// `base` with the members of `more`.
fn with(mut base: Value, more: &Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

/// Each new member alone makes a command one of format 3; without them it is one of format 1 and the document keeps its bytes.
#[test]
fn a_member_of_format_3_waits_for_the_upgrade() {
    let members = [
        json!({"jwks": {"keys": [ed()]}}),
        json!({"jwks": null}),
        json!({"access_token_signed_response_alg": "RS256"}),
        json!({"response_modes": ["query"]}),
        json!({"backchannel_logout_uri": "https://a.example/out"}),
        json!({"backchannel_logout_session_required": true}),
        json!({"resources": ["https://api.example"]}),
        json!({"logo_uri": "https://a.example/l"}),
        json!({"client_uri": "https://a.example/"}),
        json!({"policy_uri": "https://a.example/p"}),
        json!({"tos_uri": "https://a.example/t"}),
        json!({"default_max_age": 1}),
    ];
    let pending = Reject::UpgradePending { needed: OIDC_FORMAT, format: FIRST_FORMAT };
    for patch in members {
        let command = put_client(ACME, WEB, patch.clone(), 1);
        assert_eq!(command.format(), OIDC_FORMAT, "{patch}");
        assert_eq!(Bench::with_acme().run(command), Err(pending.clone()), "{patch}");
    }
    for (member, value) in [
        ("allowedClients", json!(["web"])),
        ("hostedDomains", json!(["a.example"])),
        ("linkByEmail", json!(false)),
    ] {
        let patch = json!({"settings": {"socialProviders": {"g": {"kind": "google", "clientId": "x", member: value}}}});
        let command = put_tenant(ACME, patch, &[]);
        assert_eq!(command.format(), OIDC_FORMAT, "{member}");
        assert_eq!(Bench::with_acme().run(command), Err(pending.clone()), "{member}");
    }
    assert_eq!(put_client(ACME, WEB, json!({"name": "Web"}), 1).format(), FIRST_FORMAT);
    let old = json!({"settings": {"socialProviders": {"g": {"kind": "google", "clientId": "x"}, "h": null}}});
    assert_eq!(put_tenant(ACME, old, &[]).format(), FIRST_FORMAT);
    let client = upgraded().client(WEB, json!({}), 1).0;
    let written = serde_json::to_value(&*client).unwrap();
    for new in ["jwks", "response_modes", "resources", "backchannel_logout_session_required", "logo_uri"] {
        assert!(written.get(new).is_none(), "{new}");
    }
}

/// Releases of one cluster judge alike: what an older one takes is taken until the upgrade, and can be changed afterwards.
#[test]
fn rules_of_format_3_for_older_members_begin_with_it() {
    let keyless = json!({"client_type": "confidential", "token_endpoint_auth_method": "private_key_jwt"});
    let reserved =
        json!({"settings": {"socialProviders": {"password": {"kind": "google", "clientId": "x"}}}});
    let mut bench = Bench::with_acme();
    bench.client(WEB, keyless.clone(), 1);
    bench.tenant(ACME, reserved.clone());
    let members = BTreeMap::from([("n1".to_owned(), 1)]);
    bench.run(Command::FormCluster { cluster_id: Uuid::from_u128(7), members }).unwrap();
    bench.run(Command::RaiseFormat { to: OIDC_FORMAT, seen: [1].into() }).unwrap();
    bench.client(WEB, json!({"name": "still to be changed"}), 1);
    bench.tenant(ACME, reserved.clone());
    assert_eq!(findings(bench.try_client("new", keyless, 2)), finding("jwks", "required"));
    bench.tenant(ACME, json!({"settings": {"socialProviders": {"password": null}}}));
    let refused = findings(bench.try_tenant(ACME, reserved));
    assert_eq!(refused, finding("settings.socialProviders.password", "invalid_name"));
}

#[test]
fn a_key_set_belongs_to_private_key_jwt_and_goes_with_it() {
    let mut bench = upgraded();
    let (client, _) =
        bench.client(WEB, signed(&[with(ed(), &json!({"use": "sig", "x5t": "dropped"})), ec(), rsa(256)]), 1);
    let kept = serde_json::to_value(client.jwks.as_ref().unwrap()).unwrap();
    assert_eq!(kept, json!({"keys": [ed(), ec(), rsa(256)]}));
    assert_eq!(findings(bench.try_client(WEB, json!({"jwks": null}), 1)), finding("jwks", "required"));
    let (client, _) = bench.client(WEB, json!({"token_endpoint_auth_method": "client_secret_basic"}), 1);
    assert_eq!(client.jwks, None);
    let alone = json!({"jwks": {"keys": [ed()]}});
    assert_eq!(findings(bench.try_client(WEB, alone, 1)), finding("jwks", "invalid_value"));
    bench.client(WEB, signed(&[ed()]), 1);
    assert_eq!(bench.client(WEB, json!({"client_type": "public"}), 1).0.jwks, None);
    let twice = signed(&[ec(), ed(), ec()]);
    assert_eq!(findings(bench.try_client(WEB, twice, 1)), finding("jwks.keys[2].kid", "duplicate"));
    for keys in [vec![], vec![ed(); 11]] {
        assert_eq!(findings(bench.try_client(WEB, signed(&keys), 1)), finding("jwks.keys", "out_of_range"));
    }
    bench.client(WEB, signed(&[ed(), ed(), ed(), ed(), ed(), ed(), ed(), ed(), ed(), ed()]), 1);
}

/// S36, S44: it is judged when it is read, so that nothing private is ever proposed; nothing of it is repeated.
#[test]
fn private_unknown_weak_and_malformed_keys_are_refused_when_they_are_read() {
    let refusal = |key: &Value| {
        let patch = serde_json::from_value::<ClientPatch>(signed(std::slice::from_ref(key)));
        patch.err().map(|error| error.to_string())
    };
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let text = refusal(&with(rsa(256), &json!({name: "c2VjcmV0"}))).unwrap();
        assert!(
            text.starts_with(&format!("{name} is a private member")) && !text.contains("c2VjcmV0"),
            "{text}"
        );
    }
    for (key, member) in [
        (json!({"kty": "oct"}), "kty"),
        (json!({"x": "AA"}), "kty"),
        (with(ec(), &json!({"crv": "P-384"})), "kty"),
        (with(ed(), &json!({"crv": "X25519"})), "kty"),
        (with(ed(), &json!({"crv": "Ed448"})), "kty"),
        (with(ed(), &json!({"use": "enc"})), "use"),
        (with(ed(), &json!({"alg": "RS256"})), "alg"),
        (with(ed(), &json!({"alg": "none"})), "alg"),
        (with(rsa(256), &json!({"alg": "HS256"})), "alg"),
        (with(ed(), &json!({"kid": ""})), "kid"),
        (with(ed(), &json!({"kid": "a\nb"})), "kid"),
        (with(ed(), &json!({"kid": "x".repeat(201)})), "kid"),
        (with(ed(), &json!({"kid": 7})), "kid"),
        (with(ed(), &json!({"x": "AA"})), "x"),
        (with(ed(), &json!({"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="})), "x"),
        (with(ed(), &json!({"x": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo"})), "x"),
        (with(ed(), &json!({"x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"})), "x"),
        (with(ec(), &json!({"y": null})), "y"),
        (rsa(255), "n"),
        (rsa(513), "n"),
        (with(rsa(256), &json!({"n": number(256, 0x7f, 1)})), "n"),
        (with(rsa(256), &json!({"n": number(256, 0x80, 2)})), "n"),
        (with(rsa(256), &json!({"n": number(257, 0, 1)})), "n"),
        (with(rsa(256), &json!({"e": "AQ"})), "e"),
        (with(rsa(256), &json!({"e": "BA"})), "e"),
        (with(rsa(256), &json!({"e": "AAEAAQ"})), "e"),
        (with(rsa(256), &json!({"e": number(5, 1, 1)})), "e"),
    ] {
        let text = refusal(&key).unwrap_or_else(|| panic!("{key} was taken"));
        assert!(text.starts_with(&format!("{member} ")), "{key}: {text}");
    }
    for key in [ed(), ec(), rsa(256), rsa(512), with(rsa(256), &json!({"e": "Aw", "alg": "RS256"}))] {
        assert_eq!(refusal(&key), None, "{key}");
    }
    assert!(refusal(&with(ed(), &json!({"zz": 1}))).unwrap().starts_with("unknown field `zz`"));
    let more = json!({"jwks": {"keys": [ed()], "more": 1}});
    assert!(serde_json::from_value::<ClientPatch>(more).is_err());
}

/// S14: an empty list would let nothing through, and its order says nothing.
#[test]
fn what_oidc_asks_of_a_client_is_checked_and_kept_canonical() {
    let mut bench = upgraded();
    let (client, _) =
        bench.client(WEB, json!({"responseModes": ["form_post", "query"], "defaultMaxAge": 0}), 1);
    assert_eq!(client.response_modes, [ResponseMode::Query, ResponseMode::FormPost]);
    assert_eq!(client.default_max_age, Some(0));
    let good = json!({"resources": ["https://api.example/v1", "http://intranet/x", "urn:example:orders"],
        "backchannelLogoutUri": "http://localhost:9000/out", "tosUri": "https://a.example/t"});
    bench.client(WEB, good, 1);
    let url = json!("http://a.example/x");
    for (patch, field, code) in [
        (json!({"response_modes": []}), "response_modes", "required"),
        (json!({"response_modes": ["query", "query"]}), "response_modes[1]", "duplicate"),
        (json!({"default_max_age": 31_536_001}), "default_max_age", "out_of_range"),
        (json!({"backchannel_logout_uri": url}), "backchannel_logout_uri", "insecure_url"),
        (json!({"backchannel_logout_uri": "https://a.example/#x"}), "backchannel_logout_uri", "invalid_url"),
        (json!({"backchannel_logout_uri": "https://u@a.example/"}), "backchannel_logout_uri", "invalid_url"),
        (json!({"logo_uri": url}), "logo_uri", "insecure_url"),
        (json!({"client_uri": url}), "client_uri", "insecure_url"),
        (json!({"policy_uri": "javascript:x"}), "policy_uri", "invalid_url"),
        (json!({"tos_uri": "data:text/html,x"}), "tos_uri", "invalid_url"),
        (json!({"resources": ["https://a.example", "https://a.example"]}), "resources[1]", "duplicate"),
        (json!({"resources": ["https://a.example#x"]}), "resources[0]", "invalid_url"),
        (json!({"resources": ["/orders"]}), "resources[0]", "invalid_url"),
        (json!({"resources": ["urn:example:a#x"]}), "resources[0]", "invalid_url"),
    ] {
        assert_eq!(findings(bench.try_client(WEB, patch.clone(), 1)), finding(field, code), "{patch}");
    }
    let many: Vec<_> = (0..101).map(|i| format!("https://a.example/{i}")).collect();
    assert_eq!(
        findings(bench.try_client(WEB, json!({"resources": many}), 1)),
        finding("resources", "too_many")
    );
}

#[test]
fn who_may_use_an_upstream_provider_is_checked() {
    let mut bench = upgraded();
    let google = |more: Value| {
        let provider = with(json!({"kind": "google", "clientId": "x"}), &more);
        json!({"settings": {"socialProviders": {"g": provider}}})
    };
    let all = json!({"allowed_clients": ["web"], "hosted_domains": ["acme.example"], "link_by_email": false});
    let (tenant, _) = bench.tenant(ACME, google(all));
    let provider = &tenant.settings.social_providers["g"];
    assert!(!provider.link_by_email && provider.allowed_clients == [client_id(WEB)]);
    assert_eq!(provider.hosted_domains, ["acme.example"]);
    let none = json!({"allowedClients": null, "hostedDomains": null, "linkByEmail": null});
    let (tenant, _) = bench.tenant(ACME, google(none));
    let provider = &tenant.settings.social_providers["g"];
    assert!(
        provider.link_by_email && provider.allowed_clients.is_empty() && provider.hosted_domains.is_empty()
    );
    let at = |member: &str| format!("settings.socialProviders.g.{member}");
    for domain in [
        "Acme.example",
        "acme",
        "*.acme.example",
        "@acme.example",
        ".acme.example",
        "1.2.3.4",
        "a b.example",
        "",
    ] {
        let result = bench.try_tenant(ACME, google(json!({"hostedDomains": [domain]})));
        assert_eq!(findings(result), finding(&at("hostedDomains[0]"), "invalid_domain"), "{domain}");
    }
    let twice = bench.try_tenant(ACME, google(json!({"allowedClients": ["web", "web"]})));
    assert_eq!(findings(twice), finding(&at("allowedClients[1]"), "duplicate"));
}

/// S01, S02, RFC 8252 §7.3
#[test]
fn only_a_public_client_may_come_back_to_another_port() {
    let mut bench = upgraded();
    let (client, _) =
        bench.client(WEB, json!({"redirect_uris": ["http://localhost/cb", "https://a.example/cb"]}), 1);
    assert!(
        client.allows_redirect_uri("http://localhost:3000/cb")
            && client.allows_redirect_uri("https://a.example/cb")
    );
    assert!(!client.allows_redirect_uri("https://a.example:8443/cb") && !client.allows_redirect_uri(""));
    let confidential = Client { client_type: ClientType::Confidential, ..Client::clone(&client) };
    assert!(confidential.allows_redirect_uri("http://localhost/cb"));
    assert!(!confidential.allows_redirect_uri("http://localhost:3000/cb"));
    assert_eq!(client.token_endpoint_auth_method, AuthMethod::None);
    assert!(bench.view().client(&slug(ACME), &client_id(WEB)).is_some());
}

/// S03: both lists, with what only a list of bytes shows.
#[test]
fn both_lists_of_redirect_uris_of_s03() {
    for member in ["redirect_uris", "post_logout_redirect_uris"] {
        for bad in [
            "http://a.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "myapp://cb",
            "https://a.example/cb#x",
            "https://u:p@a.example/cb",
            "https://*.a.example/cb",
            "https://a.example/*",
            "https://a.example/a/../b",
            "https://a.example/%2E%2e/b",
            "https://a.example\\cb",
            "https://a.example/\u{0}",
            "https://a.example/\r\nx",
            "https://a.example/\u{7f}",
            "https://a.example/é",
            "http://localhost.a.example/cb",
        ] {
            let errors = findings(Bench::with_acme().try_client(WEB, json!({member: [bad]}), 1));
            assert_eq!(errors[0].0, format!("{member}[0]"), "{bad:?}");
        }
        let good = [
            "http://localhost/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:1/cb",
            "com.example.app:/cb",
            "https://a.example",
        ];
        Bench::with_acme().client(WEB, json!({member: good}), 1);
    }
}
