use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::config::{Inputs, load};
use crate::domain::clock::ManualClock;

/// Each pool has limits of its own: the first two two, the others three, four …
fn limits() -> Limits {
    let mut env = vec![
        ("SIGNING_MASTER_KEY".to_owned(), "0123456789abcdef0123456789abcdef".to_owned()),
        ("SECRETBOX_MASTER_KEY".to_owned(), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned()),
    ];
    let names = ["LOGIN", "FORGOT", "VERIFY", "MFA_ENROLL", "MFA_VERIFY", "MFA_CHALLENGE", "MFA_DISABLE"];
    for (number, name) in names.iter().enumerate() {
        env.push((format!("RATE_{name}_LIMIT"), (number + 2).to_string()));
        env.push((format!("RATE_{name}_WINDOW"), format!("{}s", 100 * (number + 2))));
    }
    let config = load(&Inputs { env: BTreeMap::from_iter(env), ..Inputs::default() }).unwrap().config;
    // The beginning of a window of each of these lengths.
    let clock = ManualClock::at(Timestamp::from_secs(252_000_000));
    Limits::new(&config, Arc::new(clock)).unwrap()
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> RateLimit {
    let error = result.unwrap_err();
    match error.payload() {
        super::super::Payload::RateLimited(limit) => *limit,
        other => panic!("{other:?}"),
    }
}

/// Spec §8: `RATE_{…}_LIMIT`, `RATE_{…}_WINDOW`; spec §10: by account, whatever the address, and by address.
#[tokio::test]
async fn every_pool_counts_for_itself_by_its_own_settings() {
    let limits = limits();
    let (acme, user) = (Slug::parse("acme").unwrap(), UserId(Uuid::from_u128(7)));
    for pool in Pool::ALL {
        let limit = match pool {
            Pool::Login | Pool::Register => 2,
            Pool::Forgot => 3,
            Pool::Verify => 4,
            Pool::MfaEnroll => 5,
            Pool::MfaVerify => 6,
            Pool::MfaChallenge => 7,
            Pool::MfaDisable => 8,
        };
        let account = Some(Account::User(&acme, user));
        for last in 0..limit {
            limits.spend(pool, ip(last), account).await.unwrap();
        }
        let refused = refusal(limits.spend(pool, ip(99), account).await);
        let window = Duration::from_secs(100 * u64::from(limit));
        assert_eq!(refused, RateLimit { limit: limit.into(), remaining: 0, reset: window }, "{pool:?}");
        for _ in 0..10 * u64::from(limit) {
            limits.spend(pool, ip(100), None).await.unwrap();
        }
        assert_eq!(refusal(limits.spend(pool, ip(100), None).await).limit, 10 * u64::from(limit), "{pool:?}");
    }
}

#[tokio::test]
async fn accounts_of_different_tenants_and_kinds_are_different() {
    let limits = limits();
    let [acme, other] = ["acme", "other"].map(|slug| Slug::parse(slug).unwrap());
    let [ann, bob] = ["ann@example.com", "bob@example.com"].map(|email| Email::parse(email).unwrap());
    let accounts = [
        Account::Email(&acme, &ann),
        Account::Email(&acme, &bob),
        Account::Email(&other, &ann),
        Account::User(&acme, UserId(Uuid::from_u128(1))),
        Account::User(&acme, UserId(Uuid::from_u128(2))),
        Account::User(&other, UserId(Uuid::from_u128(1))),
    ];
    for (account, last) in accounts.into_iter().zip(0..) {
        for _ in 0..2 {
            limits.spend(Pool::Login, ip(last), Some(account)).await.unwrap();
        }
        refusal(limits.spend(Pool::Login, ip(last), Some(account)).await);
    }
}

/// Only a wrong guess counts; one that nobody waits for until its end counts as wrong.
#[tokio::test]
async fn a_guess_that_was_not_wrong_is_given_back() {
    let limits = limits();
    let (acme, ann) = (Slug::parse("acme").unwrap(), Email::parse("ann@example.com").unwrap());
    let account = Some(Account::Email(&acme, &ann));
    let guess = |outcome: Result<()>| limits.guess(Pool::Login, ip(1), account, std::future::ready(outcome));
    for _ in 0..50 {
        guess(Ok(())).await.unwrap();
        for code in [Code::AccountLocked, Code::StorageUnavailable, Code::Busy, Code::Internal] {
            assert_eq!(guess(Err(code.into())).await.unwrap_err().code(), code);
        }
    }
    assert_eq!(
        guess(Err(Code::InvalidCredentials.into())).await.unwrap_err().code(),
        Code::InvalidCredentials
    );
    let never = limits.guess(Pool::Login, ip(1), account, std::future::pending::<Result<()>>());
    assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
    assert_eq!(guess(Ok(())).await.unwrap_err().code(), Code::TooManyRequests);
}

#[tokio::test]
async fn without_limits_nothing_is_counted() {
    let limits = Limits::none();
    for _ in 0..1_000 {
        assert_eq!(limits.pass(ip(1), "/").await, Ok(None));
        limits.spend(Pool::Forgot, ip(1), None).await.unwrap();
    }
    assert_eq!(limits.redis_is_up(), None);
}
