//! Attacks on the form of a token: header members, encoding, size, types of claims (S36, S38). Each token has
//! a valid signature unless the case says otherwise, so that nothing but the form is wrong.

use hellojohn_control::documents::{Alg, PublicJwk};
use hellojohn_control::{Kid, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{EXPECT, ISSUER, NOW, claims, issuer, with};
use crate::crypto::jwt::{MAX_TOKEN_BYTES, TokenError, Unverified};

/// S36, S38
#[test]
fn a_header_that_brings_its_own_key_or_anything_else_is_refused() {
    let issuer = issuer();
    let extras = [
        ("jwk", json!(issuer.key.public_jwk)),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
    ];
    for (name, value) in extras {
        let mut header = issuer.header();
        header[name] = value;
        let token = issuer.sign_raw(&header.to_string(), &json!(claims()).to_string());
        assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::Header, "{name}");
        assert_eq!(Unverified::parse(&token).unwrap_err(), TokenError::Header, "{name}");
    }
}

/// S36
#[test]
fn a_kid_outside_the_grammar_never_reaches_the_look_up() {
    let issuer = issuer();
    let unreachable = |_: &Kid| -> Option<(Alg, PublicJwk)> { panic!("the look-up was asked") };
    for kid in [
        json!("../../../../etc/passwd"),
        json!("keys/_global/x.yaml"),
        json!("' OR 1=1 --xx"),
        json!("aaaaaaaa\u{0}aaaaaaaa"),
        json!(""),
        json!("a".repeat(65)),
        json!(7),
        json!(["aaaaaaaaaaaaaaaa"]),
        Value::Null,
    ] {
        let mut header = issuer.header();
        header["kid"] = kid.clone();
        let token = issuer.sign_raw(&header.to_string(), &json!(claims()).to_string());
        let verdict = Unverified::parse(&token)
            .and_then(|t| t.verify(&unreachable, Timestamp::from_secs(NOW), &EXPECT));
        assert_eq!(verdict.unwrap_err(), TokenError::Header, "{kid}");
    }
}

/// S38
#[test]
fn headers_without_a_member_or_with_one_twice_are_refused() {
    let issuer = issuer();
    let kid = issuer.key.kid.as_str();
    for header in [
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        r#"{"alg":"EdDSA","typ":"at+jwt"}"#.to_owned(),
        format!(r#"{{"kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}} "x""#),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        let token = issuer.sign_raw(&header, &json!(claims()).to_string());
        assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::Header, "{header}");
    }
}

/// S38
#[test]
fn other_spellings_of_the_same_token_are_refused() {
    let issuer = issuer();
    let token = issuer.handle.sign_access(&claims()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    for other in [
        format!("{token}="),
        format!("{token}=="),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{message}..{signature}"),
        format!(" {token}"),
        format!("{token}\n"),
        token.replacen('.', ".\n", 1),
        format!("{message}.{}\n{}", &signature[..4], &signature[4..]),
        format!("Bearer {token}"),
        message.to_owned(),
        signature.to_owned(),
        String::new(),
        "..".to_owned(),
    ] {
        assert_eq!(issuer.verify(&other).unwrap_err(), TokenError::Malformed, "{other}");
    }
    // 86 characters carry 516 bits of which 512 count: the last four must be zero.
    let last = signature.bytes().last().unwrap();
    let forged = format!("{}{}", &token[..token.len() - 1], char::from(last + 1));
    assert_eq!(issuer.verify(&forged).unwrap_err(), TokenError::Malformed);
}

/// S38
#[test]
fn an_oversized_token_is_refused_unread() {
    let issuer = issuer();
    let token = issuer.sign_claims(&with("pad", "x".repeat(MAX_TOKEN_BYTES).into()));
    assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::TooLarge);
}

/// S38, S39
#[test]
fn claims_of_the_wrong_type_are_refused_and_unknown_ones_skipped() {
    let issuer = issuer();
    for (name, value) in [
        ("exp", json!("1795306500")),
        ("exp", json!(1_795_306_500.5)),
        ("exp", json!(1e300)),
        ("exp", json!(null)),
        ("nbf", json!(true)),
        ("iat", json!([NOW])),
        ("sub", json!(7)),
        ("sub", json!("")),
        ("iss", json!([ISSUER])),
        ("aud", json!([])),
        ("aud", json!([7])),
        ("aud", json!({"a": "https://api.example"})),
        ("aud", json!(null)),
        ("jti", json!("")),
        ("tid", json!(["acme"])),
        ("tid", json!("")),
        ("client_id", json!({})),
        ("scope", json!(["openid"])),
        ("amr", json!("pwd")),
        ("roles", json!({"0": "sys:admin"})),
        ("custom", json!([])),
    ] {
        let token = issuer.sign_claims(&with(name, value.clone()));
        assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::Claims, "{name}: {value}");
    }
    for missing in ["iss", "sub", "aud", "client_id", "tid", "exp", "iat", "nbf", "jti"] {
        let mut claims = json!(claims());
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(issuer.verify(&issuer.sign_claims(&claims)).unwrap_err(), TokenError::Claims, "{missing}");
    }
    assert!(issuer.verify(&issuer.sign_claims(&with("claim_of_the_next_release", json!({"a": 1})))).is_ok());
}

/// S38
#[test]
fn a_claim_that_stands_twice_is_refused() {
    let issuer = issuer();
    let payload = json!(claims()).to_string();
    for twice in [r#""sub":"admin""#, r#""x":1,"x":2"#, r#""custom":{"a":1,"a":2}"#] {
        let payload = format!("{},{twice}}}", payload.trim_end_matches('}'));
        let token = issuer.sign_raw(&issuer.header().to_string(), &payload);
        assert_eq!(issuer.verify(&token).unwrap_err(), TokenError::Claims, "{twice}");
    }
}

proptest! {
    /// S36, S38: whichever character is changed, the token is refused.
    #[test]
    fn a_tampered_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]") {
        let issuer = issuer();
        let token = issuer.handle.sign_access(&claims()).unwrap();
        let at = at.index(token.len());
        let mut tampered = token.clone();
        tampered.replace_range(at..=at, &to);
        prop_assume!(tampered != token);
        prop_assert!(issuer.verify(&tampered).is_err());
    }

    /// S116
    #[test]
    fn any_text_is_refused_without_panic(text in "\\PC{0,200}", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let issuer = issuer();
        prop_assert!(issuer.verify(&text).is_err());
        prop_assert!(issuer.verify(&parts.join(".")).is_err());
        prop_assert!(Unverified::parse(&text).is_err());
    }
}
