//! Behaviour of the whole layer: precedence, refusal, secrets, derived values, the example file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;

/// Planted secrets; no output may contain one.
const SIGNING: &str = "planted-signing-key-0123456789abcdef";
const SECRETBOX: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const DSN: &str = "postgres://hj:planted-dsn-password@db:5432/hj";

/// The two keys without which nothing starts, and `more`.
pub(crate) fn inputs(more: &[(&str, &str)]) -> Inputs {
    let mut env = BTreeMap::from([
        ("SIGNING_MASTER_KEY".to_owned(), SIGNING.to_owned()),
        ("SECRETBOX_MASTER_KEY".to_owned(), SECRETBOX.to_owned()),
    ]);
    env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Inputs { env, ..Inputs::default() }
}

pub(crate) fn with_yaml(text: &str) -> Inputs {
    Inputs { yaml: Some(TextFile::new("config.yaml", text)), ..inputs(&[]) }
}

fn flags(texts: &[&str]) -> Vec<Flag> {
    texts.iter().map(|text| Flag::parse(text).unwrap()).collect()
}

pub(crate) fn loaded(more: &[(&str, &str)]) -> Loaded {
    load(&inputs(more)).unwrap_or_else(|errors| panic!("{errors}"))
}

pub(crate) fn refusal(inputs: &Inputs) -> String {
    load(inputs).expect_err("must be refused").list().iter().map(|error| format!("{error}\n")).collect()
}

fn source_of(loaded: &Loaded, key: &str) -> String {
    loaded.sources.iter().find(|shown| shown.setting.key == key).unwrap().source.to_string()
}

/// Spec §8: the documented defaults.
#[test]
fn defaults_are_those_of_the_specification() {
    let Loaded { config, warnings, .. } = loaded(&[]);
    assert_eq!(config.server.addr.to_string(), ":8080");
    assert_eq!(config.server.public_url.as_str(), "http://localhost:8080");
    assert_eq!(config.jwt.issuer.as_str(), "http://localhost:8080");
    assert_eq!(config.jwt.access_ttl, Duration::from_secs(900));
    assert_eq!(config.jwt.refresh_ttl, Duration::from_secs(7 * 86_400));
    assert!(config.storage.dsn.is_none());
    assert_eq!((config.password.min_length, config.password.max_length), (8, 128));
    assert_eq!(
        (config.argon2.memory_kib, config.argon2.iterations, config.argon2.parallelism),
        (65_536, 3, 2)
    );
    assert_eq!(config.control_plane.fs_root.to_str(), Some("data/hellojohn"));
    assert_eq!(config.control_plane.key_rotation_grace_seconds, Duration::from_secs(60));
    assert_eq!(config.control_plane.fs_scan_interval, Duration::from_secs(30));
    assert!(config.admin.enforce && config.admin.subs.is_empty());
    assert_eq!(config.admin.tenants[0].as_str(), "local");
    assert!(!config.cluster.is_embedded() && !config.register.auto_login && !config.flags.migrate);
    assert_eq!(config.cluster.write_timeout, Duration::from_millis(1_800));
    assert_eq!(config.observability.log_format, LogFormat::Json);
    assert_eq!(config.http.max_body_bytes, 1 << 20);
    // Spec §13.3: the default grace is shorter than the default access token.
    let warned: Vec<_> = warnings.iter().filter_map(|warning| warning.key).collect();
    assert_eq!(warned, ["control_plane.key_rotation_grace_seconds"]);
}

/// Spec §8: defaults, YAML, environment (dotenv below the real one), flags.
#[test]
fn later_layers_win() {
    let mut inputs = with_yaml("server: {addr: ':1', public_url: 'https://file'}\njwt: {access_ttl: 1m}\n");
    let key = "server.addr";
    assert_eq!(source_of(&load(&inputs).unwrap(), key), "config.yaml");
    inputs.dotenv = Some(TextFile::new(".env", "SERVER_ADDR=:2\n"));
    assert_eq!(source_of(&load(&inputs).unwrap(), key), ".env SERVER_ADDR");
    inputs.env.insert("SERVER_ADDR".into(), ":3".into());
    assert_eq!(source_of(&load(&inputs).unwrap(), key), "environment SERVER_ADDR");
    inputs.flags = flags(&["server.addr=:4", "server.addr=:5"]);
    let loaded = load(&inputs).unwrap();
    assert_eq!(source_of(&loaded, key), "flag");
    assert_eq!(loaded.config.server.addr.port, 5);
    assert_eq!(loaded.config.server.public_url.as_str(), "https://file");
    assert_eq!(loaded.config.jwt.issuer.as_str(), "https://file", "derived from the file's public URL");
    assert_eq!(source_of(&loaded, "jwt.issuer"), "default");
    assert_eq!(loaded.config.jwt.access_ttl, Duration::from_secs(60));
}

#[test]
fn empty_variables_and_empty_yaml_values_count_as_unset() {
    let mut inputs = with_yaml("server:\n  addr: ':7'\n  public_url:\njwt:\n  issuer: ''\nadmin:\n");
    inputs.env.insert("SERVER_ADDR".into(), " ".into());
    inputs.env.insert("CLUSTER_MODE".into(), String::new());
    let config = load(&inputs).unwrap().config;
    assert_eq!(config.server.addr.port, 7);
    assert_eq!(config.jwt.issuer.as_str(), "http://localhost:7");
}

#[test]
fn an_empty_flag_clears_what_the_layers_below_say() {
    let mut inputs = inputs(&[("STORAGE_DSN", DSN)]);
    assert!(load(&inputs).unwrap().config.storage.dsn.is_some());
    inputs.flags = flags(&["storage.dsn="]);
    assert!(load(&inputs).unwrap().config.storage.dsn.is_none());
}

#[test]
fn aliases_are_read_and_a_contradiction_is_told() {
    let alias = loaded(&[("DATABASE_URL", DSN)]);
    assert_eq!(alias.config.storage.dsn.as_ref().unwrap().expose(), DSN);
    assert_eq!(source_of(&alias, "storage.dsn"), "environment DATABASE_URL");
    let both = loaded(&[("STORAGE_DSN", DSN), ("DATABASE_URL", "postgres://other/db")]);
    assert_eq!(both.config.storage.dsn.as_ref().unwrap().expose(), DSN);
    let told = both.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("storage.dsn: STORAGE_DSN and DATABASE_URL differ; STORAGE_DSN is used"), "{told}");
}

#[test]
fn yaml_takes_lists_and_mappings_where_the_environment_takes_texts() {
    let loaded = load(&with_yaml(
        "cluster:\n  mode: on\n  node_id: n2\n  nodes: {n1: '127.0.0.1:8201', n2: '127.0.0.1:8202'}\n\
         admin:\n  subs: [a, 'b; c']\n  tenants: []\n",
    ));
    assert_eq!(
        loaded.unwrap_err().list()[0].to_string(),
        "config.yaml: admin.tenants (ADMIN_TENANTS): is empty, so nobody could administer; \
         name at least one tenant, or leave the key out for 'local'"
    );
    let config = load(&with_yaml(
        "cluster:\n  mode: true\n  node_id: n2\n  nodes: {n1: '127.0.0.1:8201', n2: '127.0.0.1:8202'}\n\
         admin:\n  subs: [a, 'b; c']\n",
    ))
    .unwrap()
    .config;
    assert_eq!(config.cluster.embedded.unwrap().nodes.len(), 2);
    assert_eq!(config.admin.subs, ["a", "b", "c"]);
}

/// Spec §8: unknown keys are errors that name file and key.
#[test]
fn unknown_yaml_keys_are_refused_with_a_suggestion() {
    let text = "server:\n  adress: ':1'\n  adr: ':1'\nldap:\n  host: x\nserver.addr: ':1'\nSERVER_ADDR: ':1'\n\
                cluter: {}\n1: 2\n\"a\\nb\": 1\njwt: 5\n";
    assert_eq!(
        refusal(&with_yaml(text)),
        "config.yaml: server.adress: is not a setting; the keys of server are: addr, public_url, tls_cert_file, \
         tls_key_file, cors_allowed_origins, ui_public_origin, trusted_proxies\n\
         config.yaml: server.adr: is not a setting; did you mean server.addr?\n\
         config.yaml: ldap: is not a setting; the sections are: server, jwt, keys, storage, control_plane, cluster, admin, register, auth, oauth, \
         email, smtp, password, argon2, cache, rate, http, audit, observability, flags\n\
         config.yaml: server.addr (SERVER_ADDR): is not a setting; write 'addr' indented under 'server:'\n\
         config.yaml: SERVER_ADDR: is not a setting; did you mean server.addr?\n\
         config.yaml: cluter: is not a setting; did you mean cluster?\n\
         config.yaml: has a key that is not a text; remove it\n\
         config.yaml: a\\nb: is not a setting; the sections are: server, jwt, keys, storage, control_plane, cluster, admin, register, auth, oauth, \
         email, smtp, password, argon2, cache, rate, http, audit, observability, flags\n\
         config.yaml: jwt: is a section, not a value; indent its keys under it\n"
    );
}

/// S105: duplicate keys, tags and nesting bombs are refused.
#[test]
fn malformed_yaml_is_refused_by_position_without_values() {
    for (text, kind) in [
        ("server: {addr: ':1'}\nserver: {addr: ':2'}\n", ErrorKind::DuplicateKey),
        ("server:\n  addr: ':1'\n  addr: planted-value\n", ErrorKind::DuplicateKey),
        ("server: [unclosed planted-value", ErrorKind::Syntax),
        ("just planted-value", ErrorKind::Syntax),
        ("server:\n  addr: !tag planted-value\n", ErrorKind::Invalid),
        ("server:\n  addr: [[planted-value]]\n", ErrorKind::Invalid),
        ("server:\n  addr: [planted-value]\n", ErrorKind::Invalid),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: *planted-value\n", ErrorKind::Syntax),
    ] {
        let errors = load(&with_yaml(text)).unwrap_err();
        assert_eq!(errors.list()[0].kind, kind, "{text}: {errors}");
        assert!(!errors.to_string().contains("planted-value"), "{errors}");
        assert!(errors.to_string().contains("config.yaml: "), "{errors}");
    }
}

#[test]
fn a_number_where_yaml_would_rewrite_a_secret_is_refused() {
    let mut inputs = with_yaml("keys:\n  signing_master_key: 0x12345678901234567\n");
    inputs.env.remove("SIGNING_MASTER_KEY");
    let quoted = with_yaml("keys:\n  signing_master_key: 12345678901234567890\n");
    for inputs in [inputs, quoted] {
        let report = refusal(&inputs);
        assert!(report.contains("keys.signing_master_key (SIGNING_MASTER_KEY): "), "{report}");
        assert!(!report.contains("123456789"), "{report}");
    }
}

/// Spec §8: absent or short keys are start-up errors.
#[test]
fn master_keys_are_required_and_measured() {
    assert_eq!(
        refusal(&Inputs::default()),
        "keys.signing_master_key (SIGNING_MASTER_KEY): is not set; \
         make one with 'openssl rand -base64 48' and keep it safe\n\
         keys.secretbox_master_key (SECRETBOX_MASTER_KEY): is not set; \
         make one with 'openssl rand -base64 32' and keep it safe\n"
    );
    let short = inputs(&[("SIGNING_MASTER_KEY", &SIGNING[..31]), ("SECRETBOX_MASTER_KEY", "c2hvcnQ=")]);
    assert_eq!(
        refusal(&short),
        "environment SIGNING_MASTER_KEY: keys.signing_master_key (SIGNING_MASTER_KEY): \
         is 31 bytes long, and 32 are the least; make one with 'openssl rand -base64 48'\n\
         environment SECRETBOX_MASTER_KEY: keys.secretbox_master_key (SECRETBOX_MASTER_KEY): \
         is 5 bytes in base64, not 32; make one with 'openssl rand -base64 32'\n"
    );
    let keys = loaded(&[("SIGNING_MASTER_KEY", &SIGNING[..32])]).config.keys;
    assert_eq!(keys.signing_master_key.expose(), &SIGNING[..32]);
    assert_eq!(keys.secretbox_master_key.expose(), b"0123456789abcdef0123456789abcdef");
    let weak = loaded(&[("SIGNING_MASTER_KEY", &"a".repeat(40))]);
    assert!(weak.warnings.iter().any(|warning| warning.key == Some("keys.signing_master_key")));
}

#[test]
fn binary_in_the_environment_is_refused_rather_than_mangled() {
    let report = refusal(&inputs(&[("SIGNING_MASTER_KEY", "\u{fffd}23456789abcdef0123456789abcdef0123")]));
    assert!(report.contains("SIGNING_MASTER_KEY: keys.signing_master_key"), "{report}");
    assert!(report.contains("is not valid UTF-8; write binary values in base64"), "{report}");
}

#[test]
fn a_variable_one_letter_off_is_told() {
    let warnings = loaded(&[("CLUSTER_NODE", "x"), ("HOME", "/root"), ("HTTP_PROXY", "x")]).warnings;
    let told: Vec<_> = warnings.iter().filter(|warning| warning.key.is_none()).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].text, "the variable CLUSTER_NODE is not a setting; did you mean CLUSTER_NODES?");
}

/// Dotenv files replace `$NAME`; a secret must not lose a part of itself in silence.
#[test]
fn a_dollar_in_a_dotenv_secret_is_told_unless_quoted() {
    let read = |text: &str| {
        let loaded = load(&Inputs { dotenv: Some(TextFile::new(".env", text)), ..inputs(&[]) }).unwrap();
        let told = loaded.warnings.iter().any(|warning| warning.text.contains("single quotes"));
        (loaded.config.storage.dsn.unwrap().expose().to_owned(), told)
    };
    let cut = "postgres://u:ab@db/hj".to_owned();
    let whole = "postgres://u:ab$nowhere@db/hj".to_owned();
    assert_eq!(read("export STORAGE_DSN=postgres://u:ab$nowhere@db/hj"), (cut, true));
    assert_eq!(read("STORAGE_DSN='postgres://u:ab$nowhere@db/hj'"), (whole, false));
}

#[test]
fn bad_flags_are_refused_and_secrets_on_the_command_line_are_told() {
    assert!(Flag::parse("server.addr").unwrap_err().to_string().contains("--set wants section.key=value"));
    assert!(Flag::parse("=x").is_err());
    let unknown = Inputs { flags: flags(&["server.port=1"]), ..inputs(&[]) };
    assert_eq!(
        refusal(&unknown),
        "flag: server.port: is not a setting; the keys of server are: addr, public_url, \
         tls_cert_file, tls_key_file, cors_allowed_origins, ui_public_origin, trusted_proxies\n"
    );
    let secret = Inputs { flags: flags(&[&format!("storage.dsn={DSN}")]), ..inputs(&[]) };
    assert!(load(&secret).unwrap().warnings.iter().any(|warning| warning.text.contains("process list")));
}

/// Issue 2: a start-up error for another driver; S101; settings that contradict each other.
#[test]
fn contradictions_and_foreign_values_are_refused() {
    for (env, expected) in [
        (
            vec![("STORAGE_DRIVER", "mysql")],
            "storage.driver (STORAGE_DRIVER): \"mysql\" is not supported; write postgres",
        ),
        (vec![("JWT_REFRESH_TTL", "10m")], "jwt.refresh_ttl (JWT_REFRESH_TTL): 10m is not longer than"),
        (
            vec![("POSTGRES_MAX_IDLE_CONNS", "30")],
            "storage.max_idle_conns (POSTGRES_MAX_IDLE_CONNS): 30 is more than",
        ),
        (
            vec![("SECURITY_PASSWORD_POLICY_MIN_LENGTH", "200")],
            "password.min_length (SECURITY_PASSWORD_POLICY_MIN_LENGTH): 200 is more",
        ),
        (
            vec![("ARGON2_MEMORY_KIB", "8")],
            "argon2.memory_kib (ARGON2_MEMORY_KIB): 8 KiB are too little for 2 lanes",
        ),
        (
            vec![("METRICS_ADDR", ":8080")],
            "observability.metrics_addr (METRICS_ADDR): is the address of the public",
        ),
        (
            vec![("HTTP_REQUEST_TIMEOUT", "1s")],
            "http.request_timeout (HTTP_REQUEST_TIMEOUT): 1s is not longer than",
        ),
        (
            vec![("JWT_ISSUER", "https://id.example.com/")],
            "jwt.issuer (JWT_ISSUER): \"https://id.example.com/\" ends with a slash",
        ),
        (vec![("LOG_LEVEL", "inof")], "observability.log_level (LOG_LEVEL): \"inof\" is not a log level"),
        (vec![("LOG_LEVEL", "a=b=c")], "observability.log_level (LOG_LEVEL): \"a=b=c\" is not a log filter"),
        (vec![("LOG_FORMAT", "xml")], "observability.log_format (LOG_FORMAT): \"xml\" is not a log format"),
        (vec![("ADMIN_TENANTS", "../x")], "admin.tenants (ADMIN_TENANTS): \"../x\" is not a tenant"),
        (
            vec![("SECURITY_PASSWORD_BLACKLIST_PATH", "/nowhere/list")],
            "password.blacklist_path (SECURITY_PASSWORD_BLACKLIST_PATH): cannot read \"/nowhere/list\"",
        ),
        (
            vec![("SERVER_TLS_CERT_FILE", "/nowhere/crt")],
            "server.tls_cert_file (SERVER_TLS_CERT_FILE): cannot read \"/nowhere/crt\"",
        ),
        (
            vec![("SERVER_TLS_CERT_FILE", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----")],
            "server.tls_cert_file (SERVER_TLS_CERT_FILE): certificate and key belong together",
        ),
    ] {
        let report = refusal(&inputs(&env));
        assert!(report.contains(expected), "{env:?}: {report}");
        assert_eq!(report.lines().count(), 1, "{env:?}: {report}");
    }
}

/// S101: refused in cluster mode, told otherwise.
#[test]
fn admin_enforcement_cannot_be_off_in_a_cluster() {
    let off = [("ADMIN_ENFORCE", "0")];
    assert!(loaded(&off).warnings.iter().any(|warning| warning.key == Some("admin.enforce")));
    let cluster =
        [off[0], ("CLUSTER_MODE", "embedded"), ("NODE_ID", "n1"), ("CLUSTER_NODES", "n1=127.0.0.1:8201")];
    assert_eq!(
        refusal(&inputs(&cluster)),
        "environment ADMIN_ENFORCE: admin.enforce (ADMIN_ENFORCE): cannot be switched off in cluster mode; \
         leave ADMIN_ENFORCE out, or use CLUSTER_MODE=off for development\n"
    );
}

/// All problems are reported at once, each with place, key, reason and remedy.
#[test]
fn every_problem_is_in_one_report() {
    let mut inputs = with_yaml("server:\n  addr: '8080'\n  prot: 1\njwt:\n  access_ttl: fast\n");
    inputs.env.remove("SIGNING_MASTER_KEY");
    inputs.env.insert("STORAGE_DSN".into(), "mysql://hj:planted-dsn-password@db/hj".into());
    inputs.env.insert("CLUSTER_MODE".into(), "maybe".into());
    inputs.env.insert("TRUSTED_PROXIES".into(), "10.0.0.1/8".into());
    inputs.dotenv = Some(TextFile::new(".env", "ARGON2_ITERATIONS=0\nplanted secret line\nA=1\nA=2\n"));
    inputs.flags = flags(&["http.max_body_bytes=1TB"]);
    let report = load(&inputs).unwrap_err().to_string();
    assert!(!report.contains("planted"), "{report}");
    insta::assert_snapshot!("multi_error_report", report);
}

/// Spec §1 promise 6, S111.
#[test]
fn no_debug_output_shows_a_secret() {
    let mut inputs = inputs(&[("STORAGE_DSN", DSN)]);
    inputs.dotenv = Some(TextFile::new(".env", format!("STORAGE_DSN={DSN}")));
    inputs.flags = flags(&[&format!("storage.dsn={DSN}")]);
    let loaded = load(&inputs).unwrap();
    let shown = format!("{inputs:?} {loaded:?}");
    for secret in [SIGNING, SECRETBOX, "planted", "0123456789abcdef0123456789abcdef"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("postgres://hj:***@db:5432/hj"), "{shown}");
}

#[test]
fn the_table_has_each_key_and_each_variable_once() {
    let mut keys = BTreeSet::new();
    let mut names = BTreeSet::new();
    for setting in table::all() {
        assert!(keys.insert(setting.key), "{}", setting.key);
        assert!(!setting.env.is_empty() && !setting.doc().is_empty(), "{}", setting.key);
        for name in setting.env {
            assert!(names.insert(name), "{name}");
        }
    }
}

/// S61: at most a hundred failures an hour and account.
#[test]
fn a_hold_that_lets_too_many_passwords_be_guessed_is_refused() {
    let with = |max: u32, hold: &str| {
        with_yaml(&format!("auth:\n  max_failed_logins: {max}\n  lock_duration: {hold}\n"))
    };
    let text = refusal(&with(100, "1s"));
    assert!(text.contains("auth.max_failed_logins") && text.contains("360000 passwords an hour"), "{text}");
    assert!(load(&with(25, "15m")).is_ok());
    assert!(refusal(&with(26, "15m")).contains("104 passwords an hour"));
}

/// Spec §8: the settings of mails, their defaults and what does not go together.
#[test]
fn settings_of_mails_have_the_documented_defaults_and_are_checked_together() {
    use hellojohn_control::documents::SmtpTls;

    let config = loaded(&[("SERVER_PUBLIC_URL", "https://id.example.com")]).config;
    assert_eq!(config.email.base_url.as_str(), "https://id.example.com");
    assert_eq!((config.smtp.port, config.smtp.tls), (587, SmtpTls::Starttls));
    assert_eq!(config.auth.verify_ttl, Duration::from_secs(24 * 3600));
    assert_eq!(config.auth.reset_ttl, Duration::from_secs(3600));
    assert!(!config.auth.reset_auto_login && !config.register.enumeration_safe && !config.email.debug_links);

    for (env, told) in [
        (vec![("SMTP_HOST", "mail.example.com")], "smtp.from (SMTP_FROM): is not set"),
        (
            vec![("SMTP_HOST", "mail.example.com"), ("SMTP_FROM", "id@example.com"), ("SMTP_USERNAME", "u")],
            "smtp.username (SMTP_USERNAME): user name and password belong together",
        ),
        (vec![("SMTP_FROM", "a@example.com, b@example.com")], "smtp.from (SMTP_FROM): \"a@example.com, b@"),
        (vec![("SMTP_HOST", "mail.example.com:25")], "smtp.host (SMTP_HOST): \"mail.example.com:25\" is not"),
        (vec![("SMTP_TLS", "maybe")], "smtp.tls (SMTP_TLS): \"maybe\" is no kind of protection"),
        (
            vec![("REGISTER_ENUMERATION_SAFE", "1"), ("REGISTER_AUTO_LOGIN", "1")],
            "register.auto_login (REGISTER_AUTO_LOGIN): tokens in the answer would tell",
        ),
        (
            vec![("EMAIL_TEMPLATES_DIR", "/nonexistent-directory")],
            "email.templates_dir (EMAIL_TEMPLATES_DIR)",
        ),
    ] {
        let refusal = refusal(&inputs(&env));
        assert!(refusal.contains(told), "{refusal}");
    }
}

/// Spec §8: debug links are forced off when the issuer is https.
#[test]
fn links_are_never_logged_under_an_https_issuer() {
    let told = |loaded: &Loaded| loaded.warnings.iter().any(|w| w.key == Some("email.debug_links"));
    let local = loaded(&[("EMAIL_DEBUG_LINKS", "1")]);
    assert!(local.config.email.debug_links && told(&local));
    let real = loaded(&[("EMAIL_DEBUG_LINKS", "1"), ("JWT_ISSUER", "https://id.example.com")]);
    assert!(!real.config.email.debug_links && told(&real));
}

/// Spec §13.8: the name follows from the address; `UI_PUBLIC_ORIGIN` is an origin.
#[test]
fn the_cookie_of_sessions_follows_the_public_url() {
    let named = |more: &[(&str, &str)]| {
        let auth = loaded(more).config.auth;
        (auth.session_cookie_name, auth.session_secure)
    };
    let https = ("SERVER_PUBLIC_URL", "https://id.example.com");
    assert_eq!(named(&[]), ("hj_session".to_owned(), false));
    assert_eq!(named(&[https]), ("__Host-hj_session".to_owned(), true));
    assert_eq!(named(&[https, ("AUTH_SESSION_DOMAIN", "example.com")]), ("hj_session".to_owned(), true));
    assert_eq!(named(&[https, ("AUTH_SESSION_SECURE", "0")]), ("hj_session".to_owned(), false));
    assert_eq!(named(&[https, ("AUTH_SESSION_COOKIE_NAME", "sid")]), ("sid".to_owned(), true));
    let config = loaded(&[("UI_PUBLIC_ORIGIN", "https://ui.example.com")]).config;
    assert_eq!(config.server.ui_public_origin.as_deref(), Some("https://ui.example.com"));
    let auth = loaded(&[]).config.auth;
    assert_eq!((auth.session_samesite, auth.session_ttl), (SameSite::Lax, Duration::from_secs(12 * 3600)));
}

/// Spec §13.8: what a browser would not take is refused at the start.
#[test]
fn cookies_that_no_browser_takes_are_refused() {
    let https = ("SERVER_PUBLIC_URL", "https://id.example.com");
    for (env, told) in [
        (vec![("AUTH_SESSION_COOKIE_NAME", "a b")], "\"a b\" is not the name of a cookie"),
        (vec![("AUTH_SESSION_COOKIE_NAME", "a=b;c")], "is not the name of a cookie"),
        (vec![("AUTH_SESSION_COOKIE_NAME", "hj_device")], "is the cookie of trusted devices"),
        (
            vec![("AUTH_SESSION_COOKIE_NAME", "__Host-a")],
            "browsers take a cookie of this name over https only",
        ),
        (
            vec![("AUTH_SESSION_COOKIE_NAME", "__secure-a")],
            "browsers take a cookie of this name over https only",
        ),
        (
            vec![https, ("AUTH_SESSION_COOKIE_NAME", "__Host-a"), ("AUTH_SESSION_DOMAIN", "example.com")],
            "from one host only, and a domain is set",
        ),
        (vec![https, ("AUTH_SESSION_DOMAIN", "other.com")], "for a domain that the host is not in"),
        (vec![https, ("AUTH_SESSION_DOMAIN", "ample.com")], "for a domain that the host is not in"),
        (vec![https, ("AUTH_SESSION_DOMAIN", "com")], "\"com\" is not a domain for cookies"),
        (vec![https, ("AUTH_SESSION_DOMAIN", "10.0.0.1")], "is not a domain for cookies"),
        (vec![("AUTH_SESSION_SAMESITE", "none")], "browsers take SameSite=None over https only"),
        (vec![("AUTH_SESSION_SAMESITE", "some")], "\"some\" is not a SameSite policy"),
        (
            vec![("SERVER_PUBLIC_URL", "http://id.example.com"), ("AUTH_SESSION_SECURE", "1")],
            "the cookie is for https only, and the public URL is http",
        ),
        (vec![("AUTH_SESSION_TTL", "1m")], "auth.session_ttl (AUTH_SESSION_TTL)"),
        (vec![("UI_PUBLIC_ORIGIN", "https://ui.example.com/app")], "is not an origin"),
    ] {
        let refusal = refusal(&inputs(&env));
        assert!(refusal.contains(told), "{told}: {refusal}");
    }
}

/// Spec §10: security events are kept for 90 days, for ever with 0, and never for less than an hour.
#[test]
fn security_events_are_kept_for_ninety_days_unless_set() {
    let kept = |env: &[(&str, &str)]| loaded(env).config.audit.keep_events();
    assert_eq!(kept(&[]), Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(kept(&[("AUDIT_RETENTION", "1h")]), Some(Duration::from_secs(3600)));
    assert_eq!(kept(&[("AUDIT_RETENTION", "0")]), None);
    for bad in ["59m", "3599", "1ms", "for ever", "4000d"] {
        let refusal = refusal(&inputs(&[("AUDIT_RETENTION", bad)]));
        assert!(refusal.contains("audit.retention (AUDIT_RETENTION)"), "{bad}: {refusal}");
    }
}
