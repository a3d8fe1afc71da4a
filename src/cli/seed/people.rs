//! The people of a seed, straight into their database.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::Slug;
use tokio::task::spawn_blocking;

use super::file::SeedUser;
use super::report::{Made, Report};
use crate::cli::failure::{Exit, Failure};
use crate::crypto::password::{Hasher, Password};
use crate::crypto::secret::SecretString;
use crate::domain::clock::Clock;
use crate::domain::password_policy::{Blacklist, Context, PasswordPolicy};
use crate::domain::rng::{self, Rng};
use crate::domain::user::{PasswordHash, User, UserId};
use crate::store::{self, Database, MigrationState};

/// What accounts are made with.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) hasher: Arc<Hasher>,
    pub(super) policy: PasswordPolicy,
    pub(super) blacklist: Blacklist,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    /// For the first administrator without a password in the file.
    pub(super) admin_password: Option<SecretString>,
}

/// Refuses a database whose schema is not this version's; `migrate` says how it is brought there.
pub(super) async fn check_schema(database: &Database, migrate: &str) -> Result<(), Failure> {
    let state = database.migration_state().await.map_err(|error| unavailable(&error))?;
    let failure = |exit, what: &str| Err(Failure::new(exit, format!("the user database {what}")));
    match state {
        MigrationState::Current => Ok(()),
        MigrationState::Pending(count) => {
            failure(Exit::Failed, &format!("lacks {count} migrations")).map_err(|f| f.remedy(migrate))
        }
        MigrationState::Unknown(version) => {
            failure(Exit::Conflict, &format!("has migration {version}, which this version does not know"))
        }
        MigrationState::Altered(version) => {
            failure(Exit::Conflict, &format!("has another migration {version} than this version"))
        }
    }
}

/// Makes the account unless the tenant has it.
pub(super) async fn sow(
    database: &Database,
    tenant: &Slug,
    user: &SeedUser,
    means: &mut Means,
    report: &mut Report,
) -> Result<(), Failure> {
    let name = format!("{tenant}/{}", user.email.as_str());
    let failed = |failure: Failure| failure.while_doing(format!("cannot seed the user {name}"));
    if let Some(found) = find(database, tenant, user).await.map_err(|error| failed(unavailable(&error)))? {
        report.add("user", &name, Made::Kept);
        report.notes.extend(unlike(&name, user, &found));
        return Ok(());
    }
    let (password, generated) = password_of(user, means);
    let hash = match &password {
        Some(password) => Some(hash(password, tenant, user, means).await.map_err(failed)?),
        None => None,
    };
    let id = user.id.unwrap_or_else(|| UserId(rng::uuid(means.rng.as_ref())));
    let account = User {
        given_name: user.given_name.clone(),
        family_name: user.family_name.clone(),
        email_verified: user.email_verified,
        sys_admin: user.sys_admin,
        ..User::new(id, user.email.clone(), hash, means.clock.now())
    };
    match insert(database, tenant, &account).await {
        Ok(()) => {}
        // Registered in this moment.
        Err(store::Error::EmailTaken) => {
            report.add("user", &name, Made::Kept);
            return Ok(());
        }
        Err(error) => return Err(failed(unavailable(&error))),
    }
    report.add("user", &name, Made::Created);
    if let Some(password) = password.filter(|_| generated) {
        report.passwords.push((user.email.as_str().to_owned(), password));
    }
    Ok(())
}

async fn find(database: &Database, tenant: &Slug, user: &SeedUser) -> Result<Option<User>, store::Error> {
    let mut work = database.begin(tenant).await?;
    let by_id = match user.id {
        Some(id) => work.users().find_by_id(id).await?,
        None => None,
    };
    let found = match by_id {
        Some(found) => Some(found),
        None => work.users().find_by_email(&user.email).await?,
    };
    work.rollback();
    Ok(found)
}

/// What the file says and the account does not. An account that registered itself first is not made an administrator
/// behind its owner's back, and neither an id nor an address is changed; the operator must not believe that it was.
fn unlike(name: &str, user: &SeedUser, found: &User) -> Vec<String> {
    let mut notes = Vec::new();
    if user.id.is_some_and(|id| id != found.id) {
        notes.push(format!("{name} was there already, with the id {}", found.id));
    }
    if user.email != found.email {
        notes.push(format!("{name} was there already by its id, with another address"));
    }
    if user.sys_admin && !found.sys_admin {
        notes.push(format!(
            "{name} was there already and is no administrator, with the password that it has; list its id {} in \
             ADMIN_SUBS if it is whom you mean",
            found.id
        ));
    }
    notes
}

async fn insert(database: &Database, tenant: &Slug, account: &User) -> Result<(), store::Error> {
    let mut work = database.begin(tenant).await?;
    work.users().insert(account).await?;
    work.commit().await
}

/// The password, and whether it was made here. Only an administrator gets one that is not in the file.
fn password_of(user: &SeedUser, means: &mut Means) -> (Option<SecretString>, bool) {
    match (&user.password, user.sys_admin) {
        (Some(given), _) => (Some(given.clone()), false),
        (None, true) => match means.admin_password.take() {
            Some(given) => (Some(given), false),
            None => (Some(generate_password(means.rng.as_ref())), true),
        },
        (None, false) => (None, false),
    }
}

/// 144 random bits; the end has a character of each kind that a policy can ask for.
pub fn generate_password(rng: &dyn Rng) -> SecretString {
    SecretString::from(format!("{}-Aa1", URL_SAFE_NO_PAD.encode(rng::bytes::<18>(rng))))
}

async fn hash(
    password: &SecretString,
    tenant: &Slug,
    user: &SeedUser,
    means: &Means,
) -> Result<PasswordHash, Failure> {
    let password = Password::parse(password).map_err(|error| Failure::usage(error.to_string()))?;
    let context =
        Context { email: Some(user.email.as_str()), tenant: Some(tenant.as_str()), tenant_name: None };
    if let Err(violations) = means.policy.check(password.expose(), &context, &means.blacklist) {
        let mut failure = Failure::usage("its password is not acceptable");
        failure.particulars = violations.iter().map(|violation| format!("it {violation}")).collect();
        return Err(failure.remedy("choose another one in the seed file or in HELLOJOHN_PASSWORD"));
    }
    let (hasher, rng) = (Arc::clone(&means.hasher), Arc::clone(&means.rng));
    let hashed = spawn_blocking(move || hasher.hash(rng.as_ref(), &password)).await;
    let phc = hashed
        .map_err(|error| Failure::failed(error.to_string()))?
        .map_err(|error| Failure::failed(error.to_string()))?;
    Ok(PasswordHash::new(phc))
}

fn unavailable(error: &store::Error) -> Failure {
    let exit = match error {
        store::Error::Unavailable { .. } => Exit::Unavailable,
        store::Error::EmailTaken | store::Error::Conflict(_) => Exit::Conflict,
        store::Error::Internal(_) => Exit::Failed,
    };
    Failure::new(exit, error.to_string()).remedy("start PostgreSQL, or check STORAGE_DSN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::email::Email;
    use crate::domain::rng::OsRng;

    /// T45
    #[test]
    fn what_an_account_is_and_the_file_does_not_say_is_told_of() {
        let id = UserId(uuid::Uuid::from_u128(1));
        let now = hellojohn_control::Timestamp::from_millis(0);
        let found = |email: &str, sys_admin: bool| User {
            sys_admin,
            ..User::new(id, Email::parse(email).unwrap(), None, now)
        };
        let wanted = |json: &str| serde_json::from_str::<SeedUser>(json).unwrap();
        let notes = |wanted: &SeedUser, found: &User| unlike("local/a@example.com", wanted, found);
        let admin = wanted(r#"{"email":"a@example.com","sys_admin":true}"#);
        let [note] = notes(&admin, &found("a@example.com", false)).try_into().unwrap();
        assert!(note.contains("is no administrator") && note.contains(&id.to_string()), "{note}");
        assert!(notes(&admin, &found("A@example.com", true)).is_empty());
        let other = wanted(r#"{"email":"a@example.com","sub":"00000000-0000-0000-0000-000000000002"}"#);
        let [note] = notes(&other, &found("a@example.com", true)).try_into().unwrap();
        assert!(note.ends_with(&format!("with the id {id}")), "{note}");
        let same = wanted(&format!(r#"{{"email":"a@example.com","sub":"{id}"}}"#));
        assert!(notes(&same, &found("a@example.com", false)).is_empty());
        let [note] = notes(&same, &found("b@example.com", false)).try_into().unwrap();
        assert!(note.contains("another address"), "{note}");
    }

    #[test]
    fn a_generated_password_fulfils_every_policy_and_is_new_each_time() {
        let strict = PasswordPolicy {
            min_length: 28,
            max_length: 28,
            require_upper: true,
            require_lower: true,
            require_digit: true,
            require_symbol: true,
        };
        let (one, other) = (generate_password(&OsRng), generate_password(&OsRng));
        strict.check(one.expose(), &Context::default(), &Blacklist::default()).unwrap();
        assert_ne!(one, other);
    }
}
