use std::sync::Arc;

use hellojohn_control::documents::{
    Activation, Alg, AuthMethod, Branding, ClientSecret, ClientType, GrantType, IssuerMode, KeySet, KeyState,
    PasswordRules, PublicJwk, Scope, SecretHash, Smtp, SmtpTls, SocialKind, SocialProvider, TokenTtls,
    UserStore,
};
use hellojohn_control::{ClientId, Kid, ScopeName, Sealed, Slug, Timestamp};
use proptest::prelude::*;
use serde_yaml::Value;
use uuid::Uuid;

use super::*;

fn slug() -> Slug {
    Slug::parse("acme").unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn sealed(field: &str) -> Sealed {
    Sealed::parse(&format!("GCMV1:mk1:{field}")).unwrap()
}

fn text(document: &Document) -> String {
    String::from_utf8(render(document).unwrap()).unwrap()
}

fn full_tenant() -> Tenant {
    let mut tenant = Tenant::new(slug(), at(1_795_305_600_007));
    tenant.name = "Acme: \"Größe\" & Söhne".to_owned();
    tenant.revision = 3;
    tenant.updated_at = at(1_795_305_660_000);
    let settings = &mut tenant.settings;
    settings.issuer_mode = IssuerMode::Path;
    settings.issuer_override = Some("https://id.acme.example".to_owned());
    settings.user_store = Some(UserStore { dsn: sealed("dsn") });
    settings.signing_algs = vec![Alg::EdDsa, Alg::Rs256];
    settings.tokens = Some(TokenTtls { access_ttl_seconds: Some(900), refresh_ttl_seconds: None });
    settings.password_policy =
        Some(PasswordRules { min_length: Some(12), require_digit: Some(true), ..PasswordRules::default() });
    settings.branding = Some(Branding { primary_color: Some("#1a2b3c".to_owned()), ..Branding::default() });
    settings.smtp = Some(Smtp {
        host: "mail.acme.example".to_owned(),
        port: 587,
        username: Some("0123".to_owned()),
        password: Some(sealed("smtp")),
        from: "no-reply@acme.example".to_owned(),
        tls: SmtpTls::None,
    });
    settings.social_providers.insert(
        "123".to_owned(),
        SocialProvider {
            kind: SocialKind::Oidc,
            enabled: true,
            client_id: "1e3".to_owned(),
            client_secret: Some(sealed("social")),
            issuer: Some("https://op.example".to_owned()),
            scopes: vec!["openid".to_owned()],
            allowed_clients: Vec::new(),
            hosted_domains: Vec::new(),
            link_by_email: true,
        },
    );
    tenant
}

fn full_client() -> Client {
    let mut client = Client::new(Uuid::from_u128(7), ClientId::parse("0x1").unwrap(), at(1_795_305_600_007));
    client.name = "~".to_owned();
    client.client_type = ClientType::Confidential;
    client.version = 4;
    client.revision = 4;
    client.secrets = vec![ClientSecret {
        id: Uuid::from_u128(8),
        hash: SecretHash::new([0xab; 32]),
        created_at: at(0),
        expires_at: Some(at(1_000)),
    }];
    client.redirect_uris = vec!["https://app.example.com/cb?a=b#".to_owned()];
    client.scopes = vec![ScopeName::parse("openid").unwrap(), ScopeName::parse("123").unwrap()];
    client.grant_types = vec![GrantType::AuthorizationCode, GrantType::ClientCredentials];
    client.token_endpoint_auth_method = AuthMethod::None;
    client.id_token_signed_response_alg = Some(Alg::Es256);
    client.access_ttl_seconds = Some(60);
    client
}

fn key(state: KeyState) -> SigningKey {
    SigningKey {
        kid: Kid::parse("12345678").unwrap(),
        alg: Alg::EdDsa,
        public_jwk: PublicJwk::Okp { crv: "Ed25519".to_owned(), x: "11qYAY".to_owned() },
        private_key: sealed("key"),
        state,
        not_before: at(1_795_305_600_000),
        activation: Some(Activation { not_before: at(1_795_305_600_000), grace_seconds: 60 }),
        retire_at: None,
        created_at: at(1_795_305_600_000),
    }
}

/// spec §13.1: field order and number forms. A change here makes nodes of two releases write different files.
#[test]
fn golden_tenant() {
    insta::assert_snapshot!(text(&Document::Tenant(Arc::new(full_tenant()))));
}

#[test]
fn golden_client() {
    insta::assert_snapshot!(text(&Document::Client(slug(), Arc::new(full_client()))));
}

#[test]
fn golden_scopes() {
    insta::assert_snapshot!(text(&Document::Scopes(slug(), Arc::new(ScopeCatalogue::standard()))));
}

#[test]
fn golden_key() {
    insta::assert_snapshot!(text(&Document::Key(KeySet::Global, Arc::new(key(KeyState::Next)))));
}

fn scopes(description: &str) -> ScopeCatalogue {
    let scope = Scope {
        name: ScopeName::parse("s").unwrap(),
        description: description.to_owned(),
        claims: vec![description.to_owned()],
    };
    ScopeCatalogue { scopes: vec![scope], revision: u64::MAX }
}

fn round_trips(text: &str) -> Result<(), TestCaseError> {
    let written = scopes(text);
    let bytes = render(&Document::Scopes(slug(), Arc::new(written.clone()))).unwrap();
    // As the type that it has, and as whatever a reader without types takes it for.
    prop_assert_eq!(&serde_yaml::from_slice::<ScopeCatalogue>(&bytes).unwrap(), &written, "{}", text);
    let value: Value = serde_yaml::from_slice(&bytes).unwrap();
    let description = value.get("scopes").and_then(|s| s.get(0)).and_then(|s| s.get("description")).unwrap();
    prop_assert_eq!(description, &Value::String(text.to_owned()));
    Ok(())
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    for text in [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "true",
        "False",
        "null",
        "~",
        "",
        " ",
        "1e3",
        "1E3",
        "0x1",
        "0o7",
        "0b1",
        "012",
        "1_000",
        "-1",
        "+1",
        ".5",
        "5.",
        ".inf",
        "-.INF",
        ".nan",
        "1:30",
        "2026-11-22",
        "2026-11-22T00:00:00Z",
        "---",
        "...",
        "-",
        "- a",
        "? a",
        ": a",
        "a: b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "!!int 1",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "{a}",
        "[a]",
        "a,b",
        "\u{feff}a",
        "\u{85}",
        "\u{2028}",
        "a\u{2029}b",
        " a",
        "a ",
        "\u{a0}",
        "=",
        "<<",
        "é",
        "🦀",
    ] {
        round_trips(text).unwrap();
    }
}

proptest! {
    #[test]
    fn any_text_round_trips_as_a_text(text in any::<String>()) {
        round_trips(&text)?;
    }

    #[test]
    fn anything_like_a_number_round_trips_as_a_text(text in "[-+]?[0-9._xobeE:]{0,12}") {
        round_trips(&text)?;
    }

    #[test]
    fn any_document_is_the_one_form_of_itself(name in "\\PC{1,40}", id in "[A-Za-z0-9][A-Za-z0-9._~-]{0,20}", kid in "[0-9eEx_-]{8,20}") {
        let mut client = full_client();
        client.client_id = ClientId::parse(&id).unwrap();
        client.name.clone_from(&name);
        let bytes = render(&Document::Client(slug(), Arc::new(client.clone()))).unwrap();
        prop_assert_eq!(canonical::<Client>(&bytes), Some(client));
        let mut tenant = full_tenant();
        tenant.name = name;
        let bytes = render(&Document::Tenant(Arc::new(tenant.clone()))).unwrap();
        prop_assert_eq!(canonical::<Tenant>(&bytes), Some(tenant));
        let key = SigningKey { kid: Kid::parse(&kid).unwrap(), ..key(KeyState::Next) };
        let bytes = render(&Document::Key(KeySet::Global, Arc::new(key.clone()))).unwrap();
        prop_assert_eq!(canonical::<SigningKey>(&bytes), Some(key));
    }
}

#[test]
fn only_an_exact_earlier_document_counts_as_earlier() {
    let now = Arc::new(full_client());
    let document = Document::Client(slug(), Arc::clone(&now));
    let earlier = Client { revision: 3, version: 3, name: "before".to_owned(), ..Client::clone(&now) };
    let bytes = render(&Document::Client(slug(), Arc::new(earlier))).unwrap();
    assert!(is_earlier(&document, &bytes));
    assert!(!is_earlier(&document, &render(&document).unwrap()), "the same revision");
    let mut edited = bytes.clone();
    edited.extend_from_slice(b"# edited\n");
    assert!(!is_earlier(&document, &edited), "not in our form");
    assert!(!is_earlier(&document, b""));
    assert!(!is_earlier(&document, b"\xff\xfe"));
    let other = Client { client_id: ClientId::parse("other").unwrap(), revision: 1, ..Client::clone(&now) };
    assert!(!is_earlier(&document, &render(&Document::Client(slug(), Arc::new(other))).unwrap()));
}

#[test]
fn an_earlier_state_of_a_key_is_earlier_and_another_key_is_not() {
    let document = Document::Key(KeySet::Global, Arc::new(key(KeyState::Retired)));
    assert!(is_earlier(
        &document,
        &render(&Document::Key(KeySet::Global, Arc::new(key(KeyState::Next)))).unwrap()
    ));
    let swapped = SigningKey { private_key: sealed("another"), ..key(KeyState::Next) };
    assert!(!is_earlier(&document, &render(&Document::Key(KeySet::Global, Arc::new(swapped))).unwrap()));
}

/// S105: what stands in a file may be anything.
#[test]
fn hostile_yaml_is_not_taken_for_a_document() {
    let document = Document::Tenant(Arc::new(full_tenant()));
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\nslug: *f\n";
    let deep = "[".repeat(100_000);
    let good = text(&document);
    let twice = format!("{good}slug: acme\n");
    let unknown = format!("{good}extra: 1\n");
    let tagged = good.replacen("slug: acme", "slug: !x acme", 1);
    for bad in [laughs, &deep, &twice, &unknown, &tagged] {
        assert!(!is_earlier(&document, bad.as_bytes()), "{bad:.60}");
    }
}
