//! Who calls: authentication of clients (RFC 6749 §2.3, OpenID Connect Core §9; S43).

use hellojohn_control::ClientId;
use hellojohn_control::documents::{AuthMethod, Client, TenantStatus};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{OAuthService, Whereabouts};
use crate::crypto::secret::SecretString;
use crate::service::account::Place;
use crate::service::{Code, Error, Result};

/// What a client shows.
#[derive(Debug, Clone)]
pub enum ClientProof {
    /// Nothing: it is public.
    None,
    /// A secret in the `Authorization` header.
    Basic(SecretString),
    /// A secret in the body.
    Post(SecretString),
}

/// Who a client says it is, and what it shows for it.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Its name, as sent.
    pub client_id: String,
    /// Its proof.
    pub proof: ClientProof,
}

impl OAuthService {
    /// The client, proven to be the one that it says it is.
    ///
    /// # Errors
    /// `invalid_client` for everything that is wrong with it; `invalid_parameter` where the tenant is in doubt.
    pub(super) fn authenticate(&self, whereabouts: &Whereabouts, presented: &Presented) -> Result<Place> {
        let client_id =
            ClientId::parse(&presented.client_id).map_err(|_| invalid("its name is malformed"))?;
        let place = self.place(whereabouts, &client_id).map_err(|error| match error.code() {
            Code::ClientNotFound | Code::TenantNotFound => invalid(error.code().as_str()),
            _ => error,
        })?;
        match place.entry.tenant.status {
            TenantStatus::Active => {}
            TenantStatus::Suspended => return Err(invalid("its tenant is suspended")),
        }
        if !place.client.enabled {
            return Err(invalid("it is disabled"));
        }
        self.prove(&place.client, &presented.proof)?;
        Ok(place)
    }

    fn prove(&self, client: &Client, proof: &ClientProof) -> Result<()> {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, PrivateKeyJwt};
        let method = client.token_endpoint_auth_method;
        let (secret, shown) = match (proof, method) {
            (ClientProof::None, AuthMethod::None) => return Ok(()),
            (ClientProof::None, ClientSecretBasic | ClientSecretPost | PrivateKeyJwt) => {
                return Err(invalid("it has shown nothing"));
            }
            (ClientProof::Basic(secret), _) => (secret, ClientSecretBasic),
            (ClientProof::Post(secret), _) => (secret, ClientSecretPost),
        };
        if !self.has_secret(client, secret) {
            return Err(invalid("its secret is wrong"));
        }
        // Told to nobody but the client itself.
        if shown != method {
            return Err(Error::new(Code::InvalidClient)
                .detail(format!("this client is registered for {}", name_of(method))));
        }
        Ok(())
    }

    /// Whether the secret is one of the client's that work now. All of them are compared, each in constant time.
    fn has_secret(&self, client: &Client, secret: &SecretString) -> bool {
        let digest: [u8; 32] = Sha256::digest(secret.expose().as_bytes()).into();
        let now = self.0.clock.now();
        let live = client.secrets.iter().filter(|known| known.expires_at.is_none_or(|end| now < end));
        let found = live.fold(Choice::from(0), |found, known| found | known.hash.digest().ct_eq(&digest));
        found.into()
    }
}

/// The name of the method in metadata (OpenID Connect Core §9).
fn name_of(method: AuthMethod) -> &'static str {
    match method {
        AuthMethod::None => "none",
        AuthMethod::ClientSecretBasic => "client_secret_basic",
        AuthMethod::ClientSecretPost => "client_secret_post",
        AuthMethod::PrivateKeyJwt => "private_key_jwt",
    }
}

/// One answer for every reason, which stands in the log.
pub(super) fn invalid(why: &str) -> Error {
    Error::new(Code::InvalidClient).context(why)
}
