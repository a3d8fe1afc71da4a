//! TOTP secrets in the user database (spec §2.1, S112).
//!
//! # Layout, version 1
//! ```text
//! GCMV1-MFA:{master-key-id}:{base64url(nonce ‖ ciphertext ‖ tag)}    base64url without padding
//! ```
//! Cipher, key and master-key-id are those of `GCMV1` under `SECRETBOX_MASTER_KEY`. Associated data:
//! `hellojohn/GCMV1-MFA`, then `totp`, the tenant and the account's id, each preceded by its length as a big-endian
//! u32. A row that is moved to another account or tenant opens nothing there.

use hellojohn_control::Slug;

use super::{OpenError, Sealer, associated};
use crate::crypto::aead::CipherFailure;
use crate::crypto::totp::TotpSecret;
use crate::domain::mfa::SealedSecret;
use crate::domain::rng::Rng;
use crate::domain::user::UserId;

const PREFIX: &str = "GCMV1-MFA";
const AAD_DOMAIN: &[u8] = b"hellojohn/GCMV1-MFA";
const PURPOSE: &str = "totp";

impl Sealer {
    /// Seals the secret of an account.
    ///
    /// # Errors
    /// [`CipherFailure`], never in practice.
    pub fn seal_totp(
        &self,
        rng: &dyn Rng,
        tenant: &Slug,
        user: UserId,
        secret: &TotpSecret,
    ) -> Result<SealedSecret, CipherFailure> {
        let aad = aad(tenant, user)?;
        Ok(SealedSecret::new(self.seal_text(rng, PREFIX, &aad, secret.expose())?))
    }

    /// Opens the secret of an account.
    ///
    /// # Errors
    /// [`OpenError`] when this node holds another master key, or the value is damaged or somebody else's.
    pub fn open_totp(
        &self,
        tenant: &Slug,
        user: UserId,
        sealed: &SealedSecret,
    ) -> Result<TotpSecret, OpenError> {
        let aad = aad(tenant, user).map_err(|_| OpenError::Damaged)?;
        let opened = self.open_text(PREFIX, &aad, sealed.as_str())?;
        TotpSecret::from_bytes(&opened).map_err(|_| OpenError::Damaged)
    }
}

fn aad(tenant: &Slug, user: UserId) -> Result<Vec<u8>, CipherFailure> {
    associated(AAD_DOMAIN, [PURPOSE, tenant.as_str(), &user.to_string()])
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crypto::sealed::{Aad, Purpose};
    use crate::crypto::secret::SecretBytes;
    use crate::domain::rng::OsRng;

    const MASTER: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    fn sealer() -> Sealer {
        Sealer::secretbox(MASTER).unwrap()
    }

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(&SecretBytes::from(b"12345678901234567890".to_vec())).unwrap()
    }

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn user(id: u128) -> UserId {
        UserId(Uuid::from_u128(id))
    }

    /// S112, S103, S47
    #[test]
    fn a_secret_opens_for_its_own_account_alone() {
        let sealer = sealer();
        let sealed = sealer.seal_totp(&OsRng, &slug("acme"), user(1), &secret()).unwrap();
        assert!(sealed.as_str().starts_with(&format!("GCMV1-MFA:{}:", sealer.key_id())));
        assert!(!sealed.as_str().contains(secret().base32().expose()));
        let opened = sealer.open_totp(&slug("acme"), user(1), &sealed).unwrap();
        assert_eq!(opened.base32(), secret().base32());
        for (tenant, id) in [("acme", 2), ("evil", 1)] {
            let refused = sealer.open_totp(&slug(tenant), user(id), &sealed).unwrap_err();
            assert_eq!(refused, OpenError::Damaged, "{tenant} {id}");
        }
    }

    /// S47: a value of the control plane is none of the user plane, and the other way round.
    #[test]
    fn the_two_layouts_do_not_open_each_other() {
        let sealer = sealer();
        let acme = slug("acme");
        let sealed = sealer.seal_totp(&OsRng, &acme, user(1), &secret()).unwrap();
        let renamed =
            hellojohn_control::Sealed::parse(&sealed.as_str().replace("GCMV1-MFA", "GCMV1")).unwrap();
        let field = user(1).to_string();
        let place = Aad { purpose: Purpose::UserStoreDsn, tenant: Some(&acme), field: &field };
        assert_eq!(sealer.open(&place, &renamed).unwrap_err(), OpenError::Damaged);
        let plain = sealer.seal(&OsRng, &place, secret().expose()).unwrap();
        for text in [plain.as_str().to_owned(), plain.as_str().replace("GCMV1", "GCMV1-MFA")] {
            let refused = sealer.open_totp(&acme, user(1), &SealedSecret::new(text)).unwrap_err();
            assert_eq!(refused, OpenError::Damaged);
        }
    }

    #[test]
    fn another_master_key_is_told_apart_and_names_the_setting() {
        let theirs = Sealer::secretbox("YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=").unwrap();
        let sealed = theirs.seal_totp(&OsRng, &slug("acme"), user(1), &secret()).unwrap();
        let error = sealer().open_totp(&slug("acme"), user(1), &sealed).unwrap_err();
        assert!(error.to_string().contains("SECRETBOX_MASTER_KEY"), "{error}");
    }

    /// Pins the form in the database: a value sealed by version 1 opens for ever.
    #[test]
    fn a_value_sealed_by_an_earlier_release_opens() {
        let golden = SealedSecret::new(include_str!("golden_mfa_v1.txt").trim().to_owned());
        let opened = sealer().open_totp(&slug("acme"), user(7), &golden).unwrap();
        assert_eq!(opened.base32(), secret().base32());
    }
}
