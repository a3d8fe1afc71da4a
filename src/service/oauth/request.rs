//! What an authorization request asks for (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1), parsed into types.
//!
//! By the time that it is read the client and its address are proven, so every error goes to the client.

use hellojohn_control::ScopeName;
use hellojohn_control::documents::{Client, GrantType};

use super::{Params, scope};
use crate::crypto::pkce::CodeChallenge;
use crate::service::account::Place;
use crate::service::{Code, Error, Result};

/// Longest nonce, in bytes.
const MAX_NONCE: usize = 1024;
/// The strength of a login with two factors (spec §7).
const LOA_TWO: &str = "loa:2";

/// What the person is to be asked (OpenID Connect Core §3.1.2.1, Initiating User Registration 1.0 §3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Nothing: an answer at once.
    pub(super) none: bool,
    /// To log in, whoever is logged in.
    pub(super) login: bool,
    /// To consent, whatever they have consented to.
    pub(super) consent: bool,
    /// To make an account.
    pub(super) create: bool,
}

/// A request as far as it can be judged by itself.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) scope: Vec<ScopeName>,
    pub(super) resources: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<[u8; 32]>,
    pub(super) prompt: Prompt,
    /// Seconds since the person was authenticated, at most.
    pub(super) max_age: Option<i64>,
    /// Whether two factors are asked for.
    pub(super) two_factors: bool,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// Those of RFC 6749 §4.1.2.1 and OpenID Connect Core §3.1.2.6.
    pub(super) fn read(params: &Params, place: &Place) -> Result<Self> {
        let client = &place.client;
        unsupported(params)?;
        match params.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(Code::UnsupportedResponseType.into()),
            None => return Err(bad("the parameter response_type is missing")),
        }
        if !client.grant_types.contains(&GrantType::AuthorizationCode) {
            return Err(
                Error::new(Code::UnauthorizedClient).detail("the client may not use authorization_code")
            );
        }
        let wanted = scope::parsed(params.get("scope"))?;
        let max_age = params.get("max_age").map(|text| {
            let digits =
                !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or_else(|| bad("max_age is no number of seconds"))
        });
        let nonce = params.get("nonce");
        if nonce.is_some_and(|nonce| nonce.len() > MAX_NONCE) {
            return Err(bad("nonce is longer than 1024 bytes"));
        }
        Ok(Self {
            scope: scope::allowed(&place.entry, client, wanted)?,
            resources: scope::resources(params, client)?,
            nonce: nonce.map(str::to_owned),
            challenge: challenge(params, client)?,
            prompt: prompt(params)?,
            max_age: max_age.transpose()?,
            two_factors: params.get("acr_values").is_some_and(|acr| acr.split(' ').any(|acr| acr == LOA_TWO)),
        })
    }
}

/// What other servers take and this one does not. Passing over them would be another request than the one that was made.
fn unsupported(params: &Params) -> Result<()> {
    if params.get("request").is_some() {
        return Err(Code::RequestNotSupported.into());
    }
    if params.get("request_uri").is_some() {
        return Err(Code::RequestUriNotSupported.into());
    }
    if params.get("registration").is_some() {
        return Err(Code::RegistrationNotSupported.into());
    }
    Ok(())
}

/// The challenge (S08): S256, and there must be one unless the client's document says otherwise.
fn challenge(params: &Params, client: &Client) -> Result<Option<[u8; 32]>> {
    match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (None, None) if client.require_pkce => Err(bad("the parameter code_challenge is missing (RFC 7636)")),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(bad("code_challenge_method comes without code_challenge")),
        (Some(text), Some("S256")) => CodeChallenge::parse(text)
            .map(|challenge| Some(challenge.0))
            .map_err(|error| bad(error.to_string())),
        (Some(_), Some(_) | None) => Err(bad("code_challenge_method must be S256")),
    }
}

fn prompt(params: &Params) -> Result<Prompt> {
    let mut prompt = Prompt::default();
    for name in params.get("prompt").unwrap_or_default().split(' ').filter(|name| !name.is_empty()) {
        match name {
            "none" => prompt.none = true,
            // Whoever is to choose an account may log in as another.
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            "create" => prompt.create = true,
            _ => return Err(bad("prompt must be of none, login, consent, select_account, create")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.create) {
        return Err(bad("prompt=none excludes every other prompt"));
    }
    Ok(prompt)
}

pub(super) fn bad(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::bad_input(Code::InvalidParameter, text)
}
