//! Logging in with e-mail and password (EP002).

use hellojohn_control::{ClientId, Slug};
use reqwest::Method;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Api, Call, call};
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;

/// What an account logs in with.
#[derive(Debug, Clone)]
pub struct Login {
    /// Where.
    pub tenant: Slug,
    /// Through which client.
    pub client: ClientId,
    /// Address.
    pub email: String,
    /// Password.
    pub password: SecretString,
    /// A code of the second factor, or a recovery code.
    pub code: Option<SecretString>,
}

impl Api {
    /// An access token for the account. Any node answers; the credentials go nowhere else.
    ///
    /// # Errors
    /// See [`ApiError`]; an account with a second factor needs the code.
    pub async fn log_in(&self, login: &Login) -> Result<SecretString, ApiError> {
        let mut body = json!({
            "tenant_id": login.tenant,
            "client_id": login.client,
            "email": login.email,
            "password": login.password.expose(),
        });
        if let Some(code) = login.code.as_ref().map(SecretString::expose) {
            let totp = code.parse::<TotpCode>().is_ok();
            body[if totp { "mfa_code" } else { "recovery_code" }] = json!(code);
        }
        let path = "/v1/auth/login";
        let call = Call { body: Some(&body), credentials: false, ..call(Method::POST, path) };
        let answer = self.send(self.base(), &call).await?;
        match answer.body.get("access_token") {
            Some(Value::String(token)) => Ok(SecretString::from(token.as_str())),
            Some(_) | None if answer.body.get("mfa_required") == Some(&Value::Bool(true)) => {
                Err(ApiError::SecondFactor)
            }
            Some(_) | None => Err(ApiError::Strange("the login has no access_token".to_owned())),
        }
    }
}
