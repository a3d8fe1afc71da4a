//! OAuth 2.1 and OpenID Connect through the routes (EP030-EP034).

mod authorize;
mod code;
mod id_token;
mod introspect;
mod redirect;
mod revoke;
mod token;
mod userinfo;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hellojohn_control::format::OIDC_FORMAT;
use serde_json::json;
use url::Url;
use url::form_urlencoded::{self, Serializer};

use super::world::{Answer, Tokens, World, call, context, slug, text_of};

/// Where the client of these tests gets its answers.
pub(super) const CALLBACK: &str = "https://app.example/cb";
/// RFC 7636 appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A request that is right in everything.
pub(super) const ASK: [(&str, &str); 7] = [
    ("client_id", "app"),
    ("tenant_id", "acme"),
    ("redirect_uri", CALLBACK),
    ("response_type", "code"),
    ("scope", "openid profile"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

/// The same parameters with others in the place of some, or without them where the value is empty.
pub(super) fn with<'a>(
    params: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = params.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    kept.chain(more.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

pub(super) fn encoded(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

pub(super) fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")))
}

/// What an answer sends to the client: the parameters of the address that it leads to.
pub(super) fn sent(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.header("location").unwrap();
    assert!(location.starts_with(CALLBACK), "{location}");
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

pub(super) fn value<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

impl World {
    /// A world with the public client `app` and the confidential client `server`.
    pub(super) async fn with_apps() -> Self {
        let world = Self::new().await;
        world.furnish_apps("acme").await;
        world
    }

    /// Waits until clients may have everything that OpenID Connect knows of them.
    pub(super) async fn raised(&self) {
        let mut views = self.plane.views();
        let raised = views.wait_for(|view| view.format() >= OIDC_FORMAT);
        tokio::time::timeout(Duration::from_secs(20), raised).await.unwrap().unwrap();
    }

    pub(super) async fn furnish_apps(&self, tenant: &str) {
        let scopes = ["openid", "profile", "email", "offline_access"];
        self.put_client(tenant, "app", json!({"redirect_uris": [CALLBACK], "scopes": scopes})).await;
        let server = json!({"redirect_uris": [CALLBACK], "scopes": scopes, "client_type": "confidential",
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"]});
        self.put_client(tenant, "server", server).await;
    }

    /// A new secret of a confidential client.
    pub(super) async fn secret(&self, tenant: &str, client: &str) -> String {
        let client = hellojohn_control::ClientId::parse(client).unwrap();
        let rotated = self.state.control.rotate_client_secret(&context(), &slug(tenant), &client, 0).await;
        rotated.unwrap().secret.unwrap().expose().to_owned()
    }

    /// Asks the authorization endpoint, as the browser of this session.
    pub(super) async fn authorize(&self, cookie: &str, params: &[(&str, &str)]) -> Answer {
        self.follow(cookie, &format!("/oauth2/authorize?{}", encoded(params))).await
    }

    /// Opens an address of ours, as the browser of this session.
    pub(super) async fn follow(&self, cookie: &str, path: &str) -> Answer {
        let mut request = call("GET", path, None, "");
        let headers = request.headers_mut();
        headers.insert("accept", HeaderValue::from_static("text/html,application/xhtml+xml"));
        headers.insert("cookie", HeaderValue::try_from(format!("hj_session={cookie}")).unwrap());
        self.send(request).await
    }

    /// A code for the request.
    pub(super) async fn auth_code(&self, cookie: &str, params: &[(&str, &str)]) -> String {
        let params = sent(&self.authorize(cookie, params).await);
        value(&params, "code").unwrap_or_else(|| panic!("{params:?}")).to_owned()
    }

    pub(super) async fn form(&self, path: &str, headers: &[(&str, &str)], params: &[(&str, &str)]) -> Answer {
        let mut request = call("POST", path, None, &encoded(params));
        for (name, value) in headers.iter().chain(&[FORM]) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        self.send(request).await
    }

    /// The token endpoint, as the public client.
    pub(super) async fn redeem(&self, code: &str, more: &[(&str, &str)]) -> Answer {
        let params = [
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("code", code),
        ];
        self.form("/oauth2/token", &[], &with(&params, more)).await
    }

    /// Registers somebody and logs their browser in.
    pub(super) async fn seated(&self, email: &str) -> String {
        self.register("acme", email).await;
        self.browser("acme", email).await
    }

    /// Tokens for the public client.
    pub(super) async fn granted(&self, cookie: &str) -> Tokens {
        let code = self.auth_code(cookie, &ASK).await;
        Tokens::of(&self.redeem(&code, &[]).await)
    }
}

/// `error` of an OAuth answer, and its status.
pub(super) fn oauth_error(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), text_of(&answer.json(), "error"))
}

/// The parameters of a query.
pub(super) fn query(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}
