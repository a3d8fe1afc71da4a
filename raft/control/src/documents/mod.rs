//! The documents of the control plane (spec §2.1): what a tenant, a client, a scope catalogue and a signing
//! key are, how a merge patch changes them, and when they are valid.

pub mod client;
mod client_check;
pub mod client_jwks;
pub mod client_patch;
pub mod mail;
pub mod patch;
pub mod scopes;
pub mod secret_hash;
pub mod settings;
pub mod signing_key;
pub mod social;
pub mod tenant;

pub use client::{AuthMethod, Client, ClientSecret, ClientType, GrantType, NewClientSecret, ResponseMode};
pub use client_jwks::{ClientJwk, ClientJwks};
pub use client_patch::ClientPatch;
pub use mail::{Smtp, SmtpPatch, SmtpTls};
pub use patch::Patch;
pub use scopes::{Scope, ScopeCatalogue};
pub use secret_hash::SecretHash;
pub use settings::{
    Branding, DiscoveryEndpoints, IssuerMode, PasswordRules, SettingsPatch, TenantSettings, TokenTtls,
    UserStore, UserStorePatch,
};
pub use signing_key::{Activation, Alg, KeySet, KeyState, NewKey, PublicJwk, SigningKey};
pub use social::{SocialKind, SocialProvider, SocialProviderPatch};
pub use tenant::{SecretField, Tenant, TenantPatch, TenantStatus};
