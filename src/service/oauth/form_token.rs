//! Proof that a form was made by a page of ours for the browser that sends it (S78). Bound to a cookie of that browser, good for
//! an hour, and known to every node, because nothing of it is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::OAuthService;
use crate::crypto::secret::SecretString;
use crate::domain::rng;

/// For how long a page may stay open.
const LIFE_MILLIS: i64 = 60 * 60 * 1000;

impl OAuthService {
    /// What a form carries for the browser that has this cookie.
    pub fn form_token(&self, cookie: &SecretString) -> String {
        self.0.begun.mark(self.0.clock.now(), &about(cookie))
    }

    /// Whether a form was made for the browser that has this cookie, within the hour.
    pub fn is_form_token(&self, token: &str, cookie: &SecretString) -> bool {
        let made = self.0.begun.read(token, &about(cookie));
        let age = made.map(|made| self.0.clock.now().millis().saturating_sub(made.millis()));
        age.is_some_and(|age| (0..=LIFE_MILLIS).contains(&age))
    }

    /// A cookie for a browser that has none.
    pub fn new_form_cookie(&self) -> SecretString {
        SecretString::from(URL_SAFE_NO_PAD.encode(rng::bytes::<24>(self.0.rng.as_ref())))
    }
}

/// No slug begins like this, so a mark of an authorization request is never one of a form.
fn about(cookie: &SecretString) -> Vec<u8> {
    [b"/form\n", cookie.expose().as_bytes()].concat()
}
