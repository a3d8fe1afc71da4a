//! The first half of a login, kept until the second.

use hellojohn_control::Slug;

use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken, password_fingerprint};
use crate::domain::mfa::{MFA_TOKEN_TTL, PendingLogin, TotpFactor};
use crate::domain::refresh_token::TokenHash;
use crate::domain::user::{PasswordHash, User};
use crate::service::Result;
use crate::service::account::AccountService;
use crate::service::account::place::Goal;
use crate::service::audit::Event;
use crate::service::user_store::refused;
use crate::store::UnitOfWork;

/// What is answered to the first half of a login.
#[derive(Debug)]
pub struct MfaRequired {
    /// Stands for it at the second; good for nothing else.
    pub token: SecretString,
    /// What may be presented there.
    pub methods: Vec<&'static str>,
}

/// The fingerprint of an account's password.
pub(super) fn fingerprint(user: &User) -> [u8; 32] {
    password_fingerprint(user.password_hash.as_ref().map(PasswordHash::as_str))
}

impl AccountService {
    /// Keeps the login of an account whose password was verified. Clears no failure: that is for whoever has both
    /// factors (S61). `events` are told with it.
    pub(in crate::service::account) async fn suspend_login(
        &self,
        mut work: UnitOfWork,
        goal: &Goal,
        user: &User,
        factor: &TotpFactor,
        events: &[Event<'_>],
    ) -> Result<MfaRequired> {
        let token = OpaqueToken::generate_of(Kind::Mfa, self.0.rng.as_ref(), &goal.entry().tenant.slug);
        let login = PendingLogin {
            user_id: user.id,
            goal: goal.pending(),
            password: fingerprint(user),
            expires_at: self.0.clock.now().plus(MFA_TOKEN_TTL),
        };
        let kept = work.mfa_tokens().insert(&TokenHash(token.hash()), &login).await;
        kept.map_err(|error| refused(&error))?;
        self.0.stores.commit_told(work, events).await?;
        let recovery = (factor.recovery_codes > 0).then_some("recovery_code");
        let methods = std::iter::once("totp").chain(recovery).collect();
        Ok(MfaRequired { token: SecretString::from(token.expose()), methods })
    }

    /// Whether the account trusts the device that holds this.
    pub(in crate::service::account) async fn trusts(
        &self,
        work: &mut UnitOfWork,
        tenant: &Slug,
        user: &User,
        device: Option<&SecretString>,
    ) -> Result<bool> {
        let token = device.and_then(|text| OpaqueToken::parse_of(Kind::Device, text.expose()).ok());
        match token.filter(|token| token.tenant() == tenant) {
            Some(token) => {
                let (hash, now) = (TokenHash(token.hash()), self.0.clock.now());
                work.trusted_devices().trusts(&hash, user.id, now).await.map_err(|error| refused(&error))
            }
            None => Ok(false),
        }
    }
}
