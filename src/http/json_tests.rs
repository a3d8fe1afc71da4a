use serde::Deserialize;

use super::*;
use crate::service::Payload;
use hellojohn_control::Slug;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Outer {
    #[serde(alias = "tenantId")]
    tenant_id: Option<Slug>,
    count: u8,
    #[serde(default)]
    inner: Vec<Inner>,
    mode: Option<Mode>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    name: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Global,
    Path,
}

fn refused(json: &str) -> Error {
    parse::<Outer>(json.as_bytes()).unwrap_err()
}

fn field(json: &str) -> (String, String, String) {
    let error = refused(json);
    assert_eq!(error.code(), Code::ValidationFailed, "{json}");
    match error.payload() {
        Payload::Fields(fields) => {
            let f = &fields[0];
            (f.field.to_string(), f.code.to_string(), f.message.to_string())
        }
        other => panic!("{other:?}"),
    }
}

fn named(json: &str) -> (String, String) {
    let (field, code, _) = field(json);
    (field, code)
}

fn pair(field: &str, code: &str) -> (String, String) {
    (field.into(), code.into())
}

#[test]
fn what_is_not_json_is_malformed() {
    let deep = format!("{{\"count\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let abyss = "[".repeat(100_000);
    for bad in
        ["", "{", "nul", "{\"count\":1}x", "{'count':1}", "\u{feff}{}", "{\"count\":01}", &deep, &abyss]
    {
        assert_eq!(refused(bad).code(), Code::MalformedJson, "{}", &bad[..bad.len().min(40)]);
    }
    assert_eq!(parse::<Outer>(b"{\"count\":1,\"mode\":\"\xff\"}").unwrap_err().code(), Code::MalformedJson);
}

/// S38, S105
#[test]
fn a_repeated_key_is_refused_at_every_depth_and_in_untyped_documents() {
    assert_eq!(refused(r#"{"count":1,"count":2}"#).code(), Code::MalformedJson);
    assert_eq!(refused(r#"{"count":1,"c\u006funt":2}"#).code(), Code::MalformedJson);
    let untyped = parse::<serde_json::Value>(br#"{"a":[{"b":1,"b":2}]}"#).unwrap_err();
    assert_eq!(untyped.code(), Code::MalformedJson);
    assert!(parse::<serde_json::Value>(br#"{"a":[{"b":1},{"b":2}]}"#).is_ok());
}

#[test]
fn the_two_spellings_of_one_field_count_as_a_repetition() {
    assert_eq!(named(r#"{"count":1,"tenant_id":"a","tenantId":"b"}"#), pair("tenant_id", "duplicate_field"));
}

#[test]
fn an_unacceptable_field_is_named_with_its_path_and_a_stable_code() {
    assert_eq!(named(r#"{"count":1,"extra":1}"#), pair("extra", "unknown_field"));
    assert_eq!(named(r#"{"count":1,"inner":[{"name":"a","x":1}]}"#), pair("inner[0].x", "unknown_field"));
    assert_eq!(named(r#"{}"#), pair("count", "required"));
    assert_eq!(named(r#"{"count":1,"inner":[{"name":"a"},{}]}"#), pair("inner[1].name", "required"));
    assert_eq!(named(r#"{"count":"1"}"#), pair("count", "wrong_type"));
    assert_eq!(named(r#"{"count":1,"inner":{}}"#), pair("inner", "wrong_type"));
    assert_eq!(named(r#"{"count":300}"#), pair("count", "invalid"));
    assert_eq!(named(r#"{"count":1,"mode":"other"}"#), pair("mode", "unsupported_value"));
    assert_eq!(named(r#"{"count":1,"tenant_id":"../x"}"#), pair("tenant_id", "invalid"));
    assert_eq!(named("[]").0, "");
    assert_eq!(named("5"), pair("", "wrong_type"));
}

#[test]
fn a_field_name_made_to_confuse_the_message_is_only_a_name() {
    let (field, code, message) = field(r#"{"count":1,"x`, expected `password":1}"#);
    assert_eq!((code.as_str(), message.as_str()), ("unknown_field", "there is no such field"));
    assert!(field.starts_with('x'), "{field}");
}

#[test]
fn messages_say_what_is_expected_and_never_echo_the_value() {
    let (_, _, message) = field(r#"{"count":"hunter2"}"#);
    assert_eq!(message, "expected a whole number");
    let (_, _, message) = field(r#"{"count":1,"mode":"hunter2"}"#);
    assert!(message.contains("`global`") && !message.contains("hunter2"), "{message}");
}

#[test]
fn both_spellings_are_read() {
    let expected = Outer {
        tenant_id: Some(Slug::parse("acme").unwrap()),
        count: 1,
        inner: vec![],
        mode: Some(Mode::Path),
    };
    for json in [
        r#"{"tenantId":"acme","count":1,"mode":"path"}"#,
        r#" {"tenant_id":"acme","count":1,"mode":"path"} "#,
    ] {
        assert_eq!(parse::<Outer>(json.as_bytes()).unwrap(), expected);
    }
}

/// Fields by their order: a body that names none of them must not mean anything.
#[test]
fn an_array_is_no_object_at_any_depth() {
    for (json, at) in [
        (r#"["acme",1]"#, ""),
        ("[]", ""),
        ("null", ""),
        (r#"{"count":1,"inner":[["x"]]}"#, "inner[0]"),
        (r#"{"count":1,"inner":[{"name":"x"},[]]}"#, "inner[1]"),
    ] {
        let (field, code, message) = field(json);
        assert_eq!((field.as_str(), code.as_str()), (at, "wrong_type"), "{json}");
        assert_eq!(message, "expected an object", "{json}");
    }
    assert!(from_value::<Outer>(serde_json::json!([null, 1, [], null])).is_err());
    let good = r#"{"count":1,"inner":[{"name":"x"}],"mode":"path"}"#;
    assert_eq!(parse::<Outer>(good.as_bytes()).unwrap().mode, Some(Mode::Path));
    assert_eq!(field(r#"{"count":"x"}"#).2, "expected a whole number");
}
