//! How large the catalogue and its documents may become. Checked when a command is applied.

/// Tenants in a cluster.
pub const TENANTS: usize = 100_000;
/// Clients of a tenant.
pub const CLIENTS_PER_TENANT: usize = 10_000;
/// Scopes in a tenant's catalogue.
pub const SCOPES_PER_TENANT: usize = 500;
/// Characters in a name, description or other short text.
pub const TEXT: usize = 200;
/// Bytes in a URL.
pub const URL: usize = 2_048;
/// URLs, origins, scopes or providers in one list of a client.
pub const LIST: usize = 100;
/// Live secrets of a client: the current one and those in their rotation overlap.
pub const SECRETS: usize = 5;
/// Published keys of one algorithm in a set: the one that signs, the one that is next, those that retire.
pub const PUBLISHED_KEYS: usize = 16;
/// Characters in one member of a public key; an RSA modulus of 8,192 bits has 1,366.
pub const JWK_MEMBER: usize = 1_400;
/// Public keys of a client.
pub const CLIENT_KEYS: usize = 10;
/// Longest age of a login in seconds that a client may ask for: one year.
pub const DEFAULT_MAX_AGE_SECONDS: u32 = 31_536_000;
/// Names of deleted documents whose last revision is remembered one by one.
pub const TOMBSTONES: usize = 100_000;
/// Retired keys that a key set remembers.
pub const RETIRED_KEYS: usize = 8;
/// Seconds that a retiring key or an old client secret may stay valid: one year.
pub const GRACE_SECONDS: u32 = 31_536_000;
/// Longest life of an access token in seconds: one day.
pub const ACCESS_TTL_SECONDS: u32 = 86_400;
/// Longest life of a refresh token in seconds: one year.
pub const REFRESH_TTL_SECONDS: u32 = 31_536_000;
/// Members of a cluster, learners included.
pub const MEMBERS: usize = 16;
/// Requests with an idempotency key that are remembered.
pub const IDEMPOTENCY_KEYS: usize = 10_000;
/// Bytes of what they did, as a snapshot holds it.
pub const IDEMPOTENCY_BYTES: usize = 32 * 1024 * 1024;
/// Records of writes that wait to be copied.
pub const AUDIT_RECORDS: usize = 4_096;
/// Commands in one log entry.
pub const BATCH: usize = 256;
