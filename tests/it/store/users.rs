//! Accounts: uniqueness, isolation, counters (spec §4; S60-S64, S103).

use std::time::Duration;

use hellojohn::domain::email::Email;
use hellojohn::domain::user::{PasswordHash, UserStatus};
use hellojohn::store::Error;

use super::{after, now, registered, tenant, user};
use crate::harness::postgres::TestDb;

/// spec §4, EP001: the database decides, not a look before.
#[tokio::test]
async fn of_many_registrations_of_one_address_exactly_one_wins() {
    let db = TestDb::new().await;
    let database = db.database();
    let attempts = (0..20).map(|n| {
        let database = database.clone();
        tokio::spawn(async move {
            let name = if n % 2 == 0 { "Ann@Example.com" } else { "ann@EXAMPLE.COM" };
            let mut work = database.begin(&tenant("acme")).await.unwrap();
            match work.users().insert(&user(name)).await {
                Ok(()) => work.commit().await.map(|()| true),
                Err(Error::EmailTaken) => Ok(false),
                Err(other) => Err(other),
            }
        })
    });
    let outcomes = futures::future::join_all(attempts).await;
    let won = outcomes.into_iter().filter(|outcome| *outcome.as_ref().unwrap().as_ref().unwrap()).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_account_comes_back_as_it_was_written() {
    let db = TestDb::new().await;
    let database = db.database();
    let mut ann = user("Ann.Smith@Example.com");
    ann.given_name = Some("Ann".to_owned());
    ann.family_name = Some("Smith \u{1f642}".to_owned());
    ann.picture = Some("https://example.com/a.png".to_owned());
    ann.locale = Some("de-AT".to_owned());
    ann.custom.insert("team".to_owned(), serde_json::json!({"id": 7}));
    ann.status = UserStatus::Disabled;
    ann.email_verified = true;
    ann.failed_logins = 3;
    ann.locked_until = Some(after(Duration::from_millis(1)));
    ann.last_login_at = Some(now());
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    work.users().insert(&ann).await.unwrap();
    work.commit().await.unwrap();

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let by_email = work.users().find_by_email(&Email::parse("ANN.smith@example.COM").unwrap()).await.unwrap();
    assert_eq!(by_email.as_ref(), Some(&ann));
    assert_eq!(by_email.unwrap().email.as_str(), "Ann.Smith@Example.com");
    assert_eq!(work.users().find_by_id(ann.id).await.unwrap(), Some(ann));
    assert_eq!(work.users().find_by_email(&Email::parse("bob@example.com").unwrap()).await.unwrap(), None);
}

/// S103: neither the address nor the identifier of another tenant's account leads anywhere.
#[tokio::test]
async fn a_tenant_does_not_see_or_change_accounts_of_another() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    // The same address is free in another tenant.
    let other = registered(&database, "other", "ann@example.com").await;

    let mut work = database.begin(&tenant("other")).await.unwrap();
    let mut users = work.users();
    assert_eq!(users.find_by_email(&ann.email).await.unwrap(), Some(other));
    assert_eq!(users.find_by_id(ann.id).await.unwrap(), None);
    assert_eq!(users.record_failed_login(ann.id, now(), 1, Duration::from_secs(60)).await.unwrap(), None);
    assert!(!users.record_login(ann.id, ann.password_hash.as_ref(), now()).await.unwrap());
    let new = PasswordHash::new("new".to_owned());
    assert!(!users.replace_password_hash(ann.id, ann.password_hash.as_ref(), &new).await.unwrap());
    assert!(matches!(users.update(&ann, now()).await, Err(Error::Conflict(_))));
    work.commit().await.unwrap();

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert_eq!(work.users().find_by_id(ann.id).await.unwrap(), Some(ann));
}

/// S61: atomic under parallel tries.
#[tokio::test]
async fn every_one_of_two_hundred_parallel_failures_counts() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let tries = (0..200).map(|_| {
        let database = database.clone();
        tokio::spawn(async move {
            let mut work = database.begin(&tenant("acme")).await.unwrap();
            let hold = Duration::from_secs(60);
            work.users().record_failed_login(ann.id, now(), 1000, hold).await.unwrap();
            work.commit().await.unwrap();
        })
    });
    for outcome in futures::future::join_all(tries).await {
        outcome.unwrap();
    }
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert_eq!(work.users().find_by_id(ann.id).await.unwrap().unwrap().failed_logins, 200);
}

/// S61: a hold begins with the failure that makes the maximum, is not lengthened, ends, and begins anew.
#[tokio::test]
async fn a_hold_ends_by_itself_and_failures_within_it_do_not_lengthen_it() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let hold = Duration::from_secs(900);
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut users = work.users();
    let mut fail = async |at| users.record_failed_login(ann.id, at, 3, hold).await.unwrap().unwrap();
    assert_eq!(fail(now()).await.locked_until, None);
    assert_eq!(fail(now()).await.locked_until, None);
    assert_eq!(fail(now()).await.locked_until, Some(after(hold)));
    let within = fail(after(Duration::from_secs(899))).await;
    assert_eq!((within.count, within.locked_until), (4, Some(after(hold))));
    let afterwards = fail(after(hold)).await;
    assert_eq!((afterwards.count, afterwards.locked_until), (1, None));
}

/// S35: what was verified must still be true when it is used.
#[tokio::test]
async fn a_login_is_recorded_only_for_the_account_that_was_verified() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let verified = ann.password_hash.as_ref();
    let hold = Duration::from_secs(60);
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut users = work.users();

    users.record_failed_login(ann.id, now(), 1, hold).await.unwrap();
    assert!(!users.record_login(ann.id, verified, now()).await.unwrap(), "held back");
    assert!(users.record_login(ann.id, verified, after(hold)).await.unwrap());
    let found = users.find_by_id(ann.id).await.unwrap().unwrap();
    assert_eq!((found.failed_logins, found.locked_until), (0, None));
    assert_eq!(found.last_login_at, Some(after(hold)));
    assert_eq!(found.updated_at, ann.updated_at, "a login does not change the profile");

    let new = PasswordHash::new("$argon2id$v=19$two".to_owned());
    assert!(users.replace_password_hash(ann.id, verified, &new).await.unwrap());
    assert!(!users.record_login(ann.id, verified, after(hold)).await.unwrap(), "another password");
    assert!(!users.replace_password_hash(ann.id, verified, &new).await.unwrap(), "S64: a late rehash");
    assert!(users.record_login(ann.id, Some(&new), after(hold)).await.unwrap());

    let mut disabled = users.find_by_id(ann.id).await.unwrap().unwrap();
    disabled.status = UserStatus::Disabled;
    users.update(&disabled, after(hold)).await.unwrap();
    assert!(!users.record_login(ann.id, Some(&new), after(hold)).await.unwrap(), "disabled");
}

#[tokio::test]
async fn a_change_of_an_account_that_was_changed_meanwhile_is_a_conflict() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    registered(&database, "acme", "bob@example.com").await;

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut first = ann.clone();
    first.given_name = Some("Ann".to_owned());
    // Within the same millisecond the version moves all the same.
    first.updated_at = work.users().update(&first, now()).await.unwrap();
    assert!(first.updated_at > ann.updated_at);
    assert!(matches!(work.users().update(&ann, now()).await, Err(Error::Conflict(_))));
    work.commit().await.unwrap();

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut taken = first.clone();
    taken.email = Email::parse("BOB@example.com").unwrap();
    assert!(matches!(work.users().update(&taken, now()).await, Err(Error::EmailTaken)));
}
