//! Import of accounts from another system, a batch at a time (spec §8, issue "Import").
//!
//! What is there stays as it is: a line makes an account, is known from an earlier import, or is refused with the
//! reason. Which of them is decided by the database in one transaction, so that two imports of the same file at the
//! same time make each account once. Nothing of a password hash is ever repeated.

use std::collections::HashMap;

use hellojohn_control::{Slug, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::AccountService;
use super::fields::Findings;
use crate::crypto::password::check_stored;
use crate::crypto::secret::SecretString;
use crate::domain::rng;
use crate::domain::user::{PasswordHash, User, UserId, UserStatus};
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;
use crate::service::{Code, Error, FieldError, Result};
use crate::store::pg::import::{Arrival, Digest, Known};

/// Most accounts of one batch.
pub const MAX_IMPORT: usize = 500;

/// An account as the old system had it. There is no field that makes an administrator (S102).
#[derive(Debug, Clone)]
pub struct ImportLine {
    /// Identifier; a new one unless given.
    pub id: Option<Uuid>,
    /// Address.
    pub email: String,
    /// Whether the old system verified the address.
    pub email_verified: bool,
    /// Hash of the password; without one its owner has to set one.
    pub password_hash: Option<SecretString>,
    /// OpenID Connect Core §5.1.
    pub given_name: Option<String>,
    /// OpenID Connect Core §5.1.
    pub family_name: Option<String>,
    /// URL of a picture, https.
    pub picture: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Attributes of the tenant's own choosing.
    pub custom: Map<String, Value>,
    /// Active unless given.
    pub status: UserStatus,
    /// When it was registered there; now unless given.
    pub created_at: Option<Timestamp>,
}

/// A line that was read, or why it could not be.
pub type Submitted = std::result::Result<ImportLine, Vec<FieldError>>;

/// A batch.
#[derive(Debug, Clone)]
pub struct UserImport {
    /// Where the accounts are to be.
    pub tenant: Slug,
    /// The lines.
    pub lines: Vec<Submitted>,
    /// Only tell what would become of them.
    pub dry_run: bool,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// It is an account now.
    Created(UserId),
    /// It was imported before.
    Unchanged(UserId),
    /// It is not, and why.
    Refused(Vec<FieldError>),
}

/// A line that is in order.
struct Accepted {
    arrival: Arrival,
    /// The line names the identifier.
    with_id: bool,
}

impl AccountService {
    /// Makes the accounts of a batch; tells of each line, in their order, what became of it.
    ///
    /// # Errors
    /// `validation_failed` for more than [`MAX_IMPORT`] lines; `tenant_not_found`; `tenant_db_error`;
    /// `storage_unavailable`, after which the same batch may be sent again.
    pub async fn import_users(&self, by: &Administrator, import: UserImport) -> Result<Vec<Imported>> {
        let tenant = import.tenant.clone();
        let action = if import.dry_run { AdminAction::CheckImport } else { AdminAction::ImportUsers };
        let event = AdminEvent::of_tenant(by, action, &tenant);
        self.0.stores.judged(&event, self.imported(&event, import).await).await
    }

    async fn imported(&self, event: &AdminEvent<'_>, import: UserImport) -> Result<Vec<Imported>> {
        if import.lines.len() > MAX_IMPORT {
            let message = format!("must have at most {MAX_IMPORT} users");
            return Err(Error::invalid_field("users", "too_many", message));
        }
        let entry = self.0.plane.view().tenant(&import.tenant).cloned().ok_or(Code::TenantNotFound)?;
        let now = self.0.clock.now();
        let lines: Vec<std::result::Result<Accepted, Vec<FieldError>>> =
            import.lines.into_iter().map(|line| self.accepted(line?, now)).collect();
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let accepted = || lines.iter().flatten();
        let arrivals: Vec<&Arrival> = accepted().map(|line| &line.arrival).collect();
        let mut added = work.imports().insert(&arrivals, now).await.map_err(|error| refused(&error))?;
        let known = if arrivals.len() == added.len() {
            Vec::new()
        } else {
            let ids = accepted().filter(|line| line.with_id).map(|line| line.arrival.user.id);
            let keys = accepted().map(|line| line.arrival.user.email.key());
            let (ids, keys) = (ids.collect::<Vec<_>>(), keys.collect::<Vec<_>>());
            work.imports().find(&ids, &keys).await.map_err(|error| refused(&error))?
        };
        let known = Index::new(&known);
        let judged = lines.into_iter().map(|line| match line {
            Err(errors) => Imported::Refused(errors),
            // Of two equal lines the first made the account, and the other one is known from it.
            Ok(line) if added.remove(&line.arrival.key()) => Imported::Created(line.arrival.user.id),
            Ok(line) => known.judge(&line),
        });
        let results: Vec<Imported> = judged.collect();
        let counts = Counts::of(&results);
        let object = counts.to_string();
        let event = event.to(&object);
        if import.dry_run {
            work.rollback();
            return self.0.stores.witnessed(&event, Ok(results)).await;
        }
        self.0.stores.commit_told(work, &[event]).await?;
        counts.publish();
        Ok(results)
    }

    /// The line as an account, or everything that is wrong with it.
    fn accepted(&self, line: ImportLine, now: Timestamp) -> std::result::Result<Accepted, Vec<FieldError>> {
        let mut findings = Findings::default();
        let email = findings.email(&line.email);
        let given_name = findings.name("given_name", line.given_name.as_deref());
        let family_name = findings.name("family_name", line.family_name.as_deref());
        let picture = line.picture.as_deref().and_then(|text| findings.picture(text));
        let locale = line.locale.as_deref().and_then(|text| findings.locale(text));
        if line.id.is_some_and(|id| id.is_nil() || id.is_max()) {
            findings.add("id", "invalid", "must not be the nil or the max UUID".to_owned());
        }
        if let Some(hash) = &line.password_hash
            && let Err(error) = check_stored(hash.expose())
        {
            findings.add("password_hash", "invalid_hash", error.to_string());
        }
        if line.created_at.is_some_and(|at| at > now) {
            findings.add("created_at", "in_the_future", "must not be in the future".to_owned());
        }
        findings.custom(&line.custom);
        let Some(email) = email else { return Err(findings.into_errors()) };
        let errors = findings.into_errors();
        if !errors.is_empty() {
            return Err(errors);
        }
        let with_id = line.id.is_some();
        let id = UserId(line.id.unwrap_or_else(|| rng::uuid(self.0.rng.as_ref())));
        let hash = line.password_hash.as_ref().map(|hash| PasswordHash::new(hash.expose().to_owned()));
        let user = User {
            email_verified: line.email_verified,
            given_name,
            family_name,
            picture,
            locale,
            custom: line.custom,
            status: line.status,
            created_at: line.created_at.unwrap_or(now),
            ..User::new(id, email, hash, now)
        };
        let digest = digest(line.id, &user, line.created_at).map_err(|error| {
            vec![FieldError::new("", "invalid", format!("cannot be written as JSON: {error}"))]
        })?;
        Ok(Accepted { arrival: Arrival { user, digest }, with_id })
    }
}

/// What a line says, in one form for all ways to write it. Kept in the database: a change of this form makes every
/// imported account differ from its line.
#[derive(Serialize)]
struct Said<'a> {
    version: u8,
    id: Option<Uuid>,
    email: &'a str,
    email_verified: bool,
    password_hash: Option<&'a str>,
    given_name: Option<&'a str>,
    family_name: Option<&'a str>,
    picture: Option<&'a str>,
    locale: Option<&'a str>,
    custom: &'a Map<String, Value>,
    status: UserStatus,
    created_at: Option<Timestamp>,
}

fn digest(id: Option<Uuid>, user: &User, created_at: Option<Timestamp>) -> serde_json::Result<Digest> {
    let said = Said {
        version: 1,
        id,
        email: user.email.as_str(),
        email_verified: user.email_verified,
        password_hash: user.password_hash.as_ref().map(PasswordHash::as_str),
        given_name: user.given_name.as_deref(),
        family_name: user.family_name.as_deref(),
        picture: user.picture.as_deref(),
        locale: user.locale.as_deref(),
        custom: &user.custom,
        status: user.status,
        created_at,
    };
    Ok(Sha256::digest(serde_json::to_vec(&said)?).into())
}

/// The accounts that were in the way of a line.
struct Index<'a> {
    by_id: HashMap<UserId, &'a Known>,
    by_email: HashMap<&'a str, &'a Known>,
}

impl<'a> Index<'a> {
    fn new(known: &'a [Known]) -> Self {
        Self {
            by_id: known.iter().map(|known| (known.id, known)).collect(),
            by_email: known.iter().map(|known| (known.email_key.as_str(), known)).collect(),
        }
    }

    fn judge(&self, line: &Accepted) -> Imported {
        let Accepted { arrival: Arrival { user, digest }, with_id } = line;
        let reason = |field: &'static str, code: &'static str, message: &'static str| {
            FieldError::new(field, code, message)
        };
        let id_taken = || reason("id", "id_taken", "the id belongs to an account with another address");
        let email_taken = || reason("email", "email_taken", "the address belongs to another account");
        let differs = || {
            reason(
                "",
                "differs",
                "the account is there and was made from something else; nothing was changed",
            )
        };
        let same_id = self.by_id.get(&user.id).filter(|_| *with_id);
        let same_email = self.by_email.get(user.email.key());
        for known in [same_id, same_email].into_iter().flatten() {
            if known.digest == Some(*digest) {
                return Imported::Unchanged(known.id);
            }
        }
        let reasons = match (same_id, same_email) {
            (Some(one), Some(other)) if one.id == other.id => vec![differs()],
            (Some(_), Some(_)) => vec![id_taken(), email_taken()],
            (Some(_), None) => vec![id_taken()],
            (None, Some(known)) if !with_id && known.digest.is_some() => vec![differs()],
            (None, Some(_)) => vec![email_taken()],
            // In the way of the insertion and gone a moment later.
            (None, None) => {
                vec![reason("", "conflict", "the account was changed in this moment; import it again")]
            }
        };
        Imported::Refused(reasons)
    }
}

/// How many lines came to what.
struct Counts {
    created: u64,
    unchanged: u64,
    refused: u64,
}

impl Counts {
    fn of(results: &[Imported]) -> Self {
        let mut counts = Self { created: 0, unchanged: 0, refused: 0 };
        for result in results {
            match result {
                Imported::Created(_) => counts.created += 1,
                Imported::Unchanged(_) => counts.unchanged += 1,
                Imported::Refused(_) => counts.refused += 1,
            }
        }
        counts
    }

    fn publish(&self) {
        for (outcome, count) in
            [("created", self.created), ("unchanged", self.unchanged), ("refused", self.refused)]
        {
            metrics::counter!("hellojohn_users_imported_total", "outcome" => outcome).increment(count);
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} created, {} unchanged, {} refused", self.created, self.unchanged, self.refused)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::email::Email;

    /// The digest is kept in databases: whoever changes its form makes every imported account differ from its line.
    #[test]
    fn the_form_of_a_line_is_pinned() {
        let at = Timestamp::from_secs(1_600_000_000);
        let id = Uuid::from_u128(7);
        let custom = json!({"b": [1, null], "a": "x"}).as_object().unwrap().clone();
        let full = User {
            email_verified: true,
            given_name: Some("Ann".to_owned()),
            locale: Some("de".to_owned()),
            custom,
            ..User::new(
                UserId(id),
                Email::parse("Ann@example.com").unwrap(),
                Some(PasswordHash::new("$2b$04$x".to_owned())),
                at,
            )
        };
        let hex = |digest: Digest| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // By sha256sum, of the JSON text that `Said` is written as.
        let expected = "206d75f034fb3b15c34613af3c079ba85d95981594f99948515262d427fd38a6";
        assert_eq!(hex(digest(Some(id), &full, Some(at)).unwrap()), expected);
        let bare = User::new(UserId(id), Email::parse("a@example.com").unwrap(), None, at);
        let expected = "71604f95ea8edd56f483244dc6b7c49235f380acc04d7efffa74c37ae2e2f2de";
        assert_eq!(hex(digest(None, &bare, None).unwrap()), expected);
        // What the server chose is not what the line says.
        let elsewhere = User { id: UserId(Uuid::nil()), created_at: Timestamp::default(), ..bare.clone() };
        assert_eq!(digest(None, &bare, None).unwrap(), digest(None, &elsewhere, None).unwrap());
    }
}
