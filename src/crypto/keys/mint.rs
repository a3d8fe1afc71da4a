//! New signing keys.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, KeypairBytes};
use hellojohn_control::documents::{Alg, NewKey};
use hellojohn_control::{Kid, Slug};
use zeroize::Zeroizing;

use super::{KeyError, PrivateKey, place};
use crate::crypto::CipherFailure;
use crate::crypto::sealed::Sealer;
use crate::crypto::secret::SecretBytes;
use crate::domain::rng::{self, Rng};

/// Makes a key of the kind `alg` for `tenant`, or for the global set when there is none.
///
/// Finding an RSA key takes a good part of a second: never on a thread that others wait for.
///
/// # Errors
/// [`KeyError`].
pub fn mint(rng: &dyn Rng, sealer: &Sealer, tenant: Option<&Slug>, alg: Alg) -> Result<NewKey, KeyError> {
    let kid = Kid::parse(&URL_SAFE_NO_PAD.encode(rng::bytes::<16>(rng))).map_err(|_| CipherFailure)?;
    let der = match alg {
        Alg::EdDsa => ed25519(rng)?,
        Alg::Es256 => p256()?,
        Alg::Rs256 => rsa_2048()?,
    };
    let public_jwk = PrivateKey::from_pkcs8(alg, der.expose()).and_then(|key| key.public_jwk());
    let private_key = sealer.seal(rng, &place(tenant, &kid), der.expose())?;
    Ok(NewKey { kid, alg, public_jwk: public_jwk.ok_or(CipherFailure)?, private_key })
}

/// RFC 8410 §7: version 1 without the public half, because every library reads that form.
fn ed25519(rng: &dyn Rng) -> Result<SecretBytes, CipherFailure> {
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rng::bytes(rng));
    let der = KeypairBytes { secret_key: *seed, public_key: None }.to_pkcs8_der();
    Ok(SecretBytes::from(der.map_err(|_| CipherFailure)?.as_bytes().to_vec()))
}

/// FIPS 186-5 §6.2. The library draws from its own generator; it takes no other.
fn p256() -> Result<SecretBytes, CipherFailure> {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    Ok(SecretBytes::from(der.map_err(|_| CipherFailure)?.as_ref().to_vec()))
}

/// FIPS 186-5 §5.1, exponent 65537; RFC 7518 §3.3 asks for 2048 bits at least. The library draws from its own generator.
fn rsa_2048() -> Result<SecretBytes, CipherFailure> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| CipherFailure)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| CipherFailure)?;
    Ok(SecretBytes::from(der.as_ref().to_vec()))
}
