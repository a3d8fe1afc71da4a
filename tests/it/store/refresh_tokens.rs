//! Refresh tokens: rotation under the row lock, revocation, overlap (spec §13.11; S32-S34, S103).

use std::time::Duration;

use hellojohn::domain::refresh_token::{FamilyId, Overlap, RevocationReason, TokenFamily, TokenHash};
use hellojohn::domain::user::UserId;
use hellojohn::store::{Database, Error};
use hellojohn_control::ClientId;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{after, logged_in, now, registered, tenant, token};
use crate::harness::postgres::TestDb;
use crate::harness::sweeps::swept;

fn overlap() -> Overlap {
    Overlap { sealed: vec![9; 60], until: after(Duration::from_secs(10)) }
}

#[tokio::test]
async fn a_token_comes_back_as_it_was_written() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let (family, first) = logged_in(&database, "acme", &ann).await;
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let presented = work.refresh_tokens().find_by_hash_for_update(&first.token_hash).await.unwrap().unwrap();
    assert_eq!(presented.token, first);
    assert_eq!(presented.family, family);
    assert_eq!(work.refresh_tokens().find_family(family.id).await.unwrap(), Some(family));
    assert_eq!(work.refresh_tokens().find_by_hash_for_update(&TokenHash([1; 32])).await.unwrap(), None);
}

/// S32: parallel refresh gives one successor.
#[tokio::test]
async fn of_fifty_parallel_rotations_one_makes_the_successor_and_all_others_see_it() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let (family, first) = logged_in(&database, "acme", &ann).await;
    let rotations = (0..50).map(|_| {
        let (database, family, hash) = (database.clone(), family.clone(), first.token_hash);
        tokio::spawn(async move {
            let mut work = database.begin(&tenant("acme")).await.unwrap();
            let mut tokens = work.refresh_tokens();
            let presented = tokens.find_by_hash_for_update(&hash).await.unwrap().unwrap();
            if presented.token.used_at.is_some() {
                // The overlap: the same successor for all, and it can be seen.
                let successor = tokens.find(presented.token.replaced_by.unwrap()).await.unwrap().unwrap();
                assert_eq!(presented.token.overlap, Some(overlap()));
                return (false, successor.id);
            }
            let successor = token(&family, now());
            tokens.insert(&successor).await.unwrap();
            tokens
                .mark_used_with_successor(presented.token.id, successor.id, &overlap(), now())
                .await
                .unwrap();
            work.commit().await.unwrap();
            (true, successor.id)
        })
    });
    let outcomes = futures::future::join_all(rotations).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|(made, _)| *made).count(), 1);
    assert!(outcomes.iter().all(|(_, successor)| *successor == outcomes[0].1));
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM refresh_tokens")
        .fetch_one(&mut db.connection().await)
        .await
        .unwrap();
    assert_eq!(count, 2);
}

/// S32, S34: a revocation that runs beside a rotation reaches the successor too.
#[tokio::test]
async fn a_revocation_reaches_a_successor_that_is_just_being_made() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let (family, first) = logged_in(&database, "acme", &ann).await;

    let mut rotation = database.begin(&tenant("acme")).await.unwrap();
    rotation.refresh_tokens().find_by_hash_for_update(&first.token_hash).await.unwrap().unwrap();
    let revocation = {
        let (database, id) = (database.clone(), family.id);
        tokio::spawn(async move {
            let mut work = database.begin(&tenant("acme")).await.unwrap();
            assert!(work.refresh_tokens().revoke_family(id, now(), RevocationReason::Logout).await.unwrap());
            work.commit().await.unwrap();
        })
    };
    // The revocation waits for the rotation's lock.
    let mut look = db.connection().await;
    super::eventually_sql(
        &mut look,
        "SELECT count(*) = 1 FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .await;
    assert!(!revocation.is_finished());
    let successor = token(&family, now());
    rotation.refresh_tokens().insert(&successor).await.unwrap();
    let mut tokens = rotation.refresh_tokens();
    tokens.mark_used_with_successor(first.id, successor.id, &overlap(), now()).await.unwrap();
    rotation.commit().await.unwrap();
    revocation.await.unwrap();

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let found = work.refresh_tokens().find_by_hash_for_update(&successor.token_hash).await.unwrap().unwrap();
    assert!(!found.family.live_at(now()));
    assert_eq!(found.family.revoked.unwrap().reason, RevocationReason::Logout);
}

/// How somebody ends several sessions in one statement.
#[derive(Debug, Clone, Copy)]
enum Ending {
    All,
    Others,
    Pair,
    Client(Uuid),
    Tenant,
}

async fn end(database: Database, user: UserId, how: Ending) -> u64 {
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut tokens = work.refresh_tokens();
    let reason = RevocationReason::LogoutAll;
    let ended = match how {
        Ending::All => tokens.revoke_all_of_user(user, now(), reason).await,
        Ending::Others => {
            tokens.revoke_others_of_user(user, FamilyId(Uuid::from_u128(9)), now(), reason).await
        }
        Ending::Pair => {
            let client = ClientId::parse("local-web").unwrap();
            tokens.revoke_of_pair(user, &client, now(), reason).await
        }
        Ending::Client(uuid) => tokens.revoke_by_client(uuid, now(), reason).await,
        Ending::Tenant => tokens.revoke_by_tenant(now(), reason).await,
    };
    let ended = ended.unwrap_or_else(|error| panic!("{how:?}: {error}"));
    work.commit().await.unwrap();
    ended
}

/// Two who end the same sessions take them in the same order, whatever they find them by. The rows lie in the order 3, 2, 1; while
/// somebody holds the second, whoever goes by the table has the third and wants the first, whoever goes by id the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_end_many_sessions_do_not_lock_each_other_out() {
    let db = TestDb::new().await;
    let database = db.database();
    let client = Uuid::new_v4();
    let mut cases = 0;
    for first in [Ending::Client(client), Ending::Tenant] {
        for second in [Ending::All, Ending::Others, Ending::Pair] {
            cases += 1;
            let ann = registered(&database, "acme", &format!("ann{cases}@example.com")).await;
            let mut work = database.begin(&tenant("acme")).await.unwrap();
            for number in [3, 2, 1] {
                let id = FamilyId(Uuid::from_u128(cases * 16 + number));
                let family = TokenFamily { id, client_uuid: client, ..super::family("acme", &ann) };
                work.refresh_tokens().insert_family(&family).await.unwrap();
            }
            work.commit().await.unwrap();
            let mut holding = db.connection().await;
            sqlx::raw_sql("BEGIN").execute(&mut holding).await.unwrap();
            sqlx::query("SELECT id FROM token_families WHERE id = $1 FOR UPDATE")
                .bind(Uuid::from_u128(cases * 16 + 2))
                .execute(&mut holding)
                .await
                .unwrap();
            let mut look = db.connection().await;
            let first = tokio::spawn(end(database.clone(), ann.id, first));
            let waiting = "SELECT count(*) = 1 FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            super::eventually_sql(&mut look, waiting).await;
            let second = tokio::spawn(end(database.clone(), ann.id, second));
            let waiting = "SELECT count(*) = 2 FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            super::eventually_sql(&mut look, waiting).await;
            sqlx::raw_sql("COMMIT").execute(&mut holding).await.unwrap();
            assert_eq!((first.await.unwrap(), second.await.unwrap()), (3, 0));
        }
    }
}

#[tokio::test]
async fn a_token_is_exchanged_once_and_only_for_one_that_exists() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let (family, first) = logged_in(&database, "acme", &ann).await;
    let (second, third) = (token(&family, now()), token(&family, now()));

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let absent = work.refresh_tokens().mark_used_with_successor(first.id, second.id, &overlap(), now()).await;
    assert!(matches!(absent, Err(Error::Internal(_))), "{absent:?}");
    work.rollback();

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut tokens = work.refresh_tokens();
    tokens.insert(&second).await.unwrap();
    tokens.insert(&third).await.unwrap();
    tokens.mark_used_with_successor(first.id, second.id, &overlap(), now()).await.unwrap();
    let again = tokens.mark_used_with_successor(first.id, third.id, &overlap(), now()).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
}

/// spec §13.11: the sealed successor does not stay longer than the overlap.
#[tokio::test]
async fn overlaps_are_cleared_by_the_sweep() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let mut used = Vec::new();
    for at in [Duration::ZERO, Duration::from_secs(9), Duration::from_secs(10), Duration::from_secs(12)] {
        let (family, first) = logged_in(&database, "acme", &ann).await;
        let successor = token(&family, after(at));
        let mut work = database.begin(&tenant("acme")).await.unwrap();
        let mut tokens = work.refresh_tokens();
        tokens.insert(&successor).await.unwrap();
        let overlap = Overlap { sealed: vec![1], until: after(at + Duration::from_secs(10)) };
        tokens.mark_used_with_successor(first.id, successor.id, &overlap, after(at)).await.unwrap();
        work.commit().await.unwrap();
        used.push(first.id);
    }
    let kept = async || {
        let mut work = database.begin(&tenant("acme")).await.unwrap();
        let mut kept = Vec::new();
        for id in &used {
            let token = work.refresh_tokens().find(*id).await.unwrap().unwrap();
            assert!(token.used_at.is_some() && token.replaced_by.is_some());
            kept.push(token.overlap.is_some());
        }
        kept
    };
    assert_eq!(kept().await, [true, true, true, true]);
    assert_eq!(swept(&db, after(Duration::from_secs(20))).await["overlaps"], 3);
    assert_eq!(kept().await, [false, false, false, true]);
}

/// S34, spec §4
#[tokio::test]
async fn revocation_by_user_client_and_tenant_reaches_exactly_its_families() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let bob = registered(&database, "acme", "bob@example.com").await;
    let eve = registered(&database, "other", "ann@example.com").await;
    let families = [
        logged_in(&database, "acme", &ann).await,
        logged_in(&database, "acme", &ann).await,
        logged_in(&database, "acme", &bob).await,
        logged_in(&database, "acme", &bob).await,
        logged_in(&database, "other", &eve).await,
    ];
    let reasons = async || {
        let mut reasons = Vec::new();
        for (family, token) in &families {
            let mut work = database.begin(&family.tenant).await.unwrap();
            let found =
                work.refresh_tokens().find_by_hash_for_update(&token.token_hash).await.unwrap().unwrap();
            reasons.push(found.family.revoked.map(|revoked| revoked.reason));
        }
        reasons
    };
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut tokens = work.refresh_tokens();
    let logout = RevocationReason::LogoutAll;
    assert_eq!(tokens.revoke_all_of_user(ann.id, now(), logout).await.unwrap(), 2);
    assert_eq!(tokens.revoke_all_of_user(ann.id, now(), RevocationReason::Reuse).await.unwrap(), 0);
    // S103: neither a user, nor a client, nor a family of another tenant.
    assert_eq!(tokens.revoke_all_of_user(eve.id, now(), logout).await.unwrap(), 0);
    let foreign = &families[4].0;
    assert_eq!(tokens.revoke_by_client(foreign.client_uuid, now(), logout).await.unwrap(), 0);
    assert!(!tokens.revoke_family(foreign.id, now(), logout).await.unwrap());
    assert_eq!(tokens.find_family(foreign.id).await.unwrap(), None);
    assert_eq!(tokens.find(families[4].1.id).await.unwrap(), None);
    assert_eq!(tokens.find_by_hash_for_update(&families[4].1.token_hash).await.unwrap(), None);
    let client = RevocationReason::ClientRevoked;
    assert_eq!(tokens.revoke_by_client(families[2].0.client_uuid, now(), client).await.unwrap(), 1);
    work.commit().await.unwrap();
    assert_eq!(reasons().await, [Some(logout), Some(logout), Some(client), None, None]);

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let gone = RevocationReason::TenantRevoked;
    assert_eq!(work.refresh_tokens().revoke_by_tenant(now(), gone).await.unwrap(), 1);
    work.commit().await.unwrap();
    assert_eq!(reasons().await, [Some(logout), Some(logout), Some(client), Some(gone), None]);
}

#[tokio::test]
async fn every_reason_is_known_to_the_database() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    for reason in RevocationReason::ALL {
        let (family, _) = logged_in(&database, "acme", &ann).await;
        let mut work = database.begin(&tenant("acme")).await.unwrap();
        assert!(work.refresh_tokens().revoke_family(family.id, now(), reason).await.unwrap());
        work.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_family_of_another_tenant_is_not_written() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let mut work = database.begin(&tenant("other")).await.unwrap();
    let named_acme = super::family("acme", &ann);
    assert!(matches!(work.refresh_tokens().insert_family(&named_acme).await, Err(Error::Internal(_))));
    // Nor can a family be hung on another tenant's account.
    let named_other = super::family("other", &ann);
    assert!(matches!(work.refresh_tokens().insert_family(&named_other).await, Err(Error::Internal(_))));
}

/// S40
#[tokio::test]
async fn a_denied_jti_is_known_in_its_tenant_until_its_end() {
    let db = TestDb::new().await;
    let database = db.database();
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    work.denied_jtis().insert("j-1", after(Duration::from_secs(900))).await.unwrap();
    work.denied_jtis().insert("j-1", after(Duration::from_secs(900))).await.unwrap();
    assert!(work.denied_jtis().contains("j-1").await.unwrap());
    assert!(!work.denied_jtis().contains("j-2").await.unwrap());
    work.commit().await.unwrap();

    let contains = async |slug: &str| {
        database.begin(&tenant(slug)).await.unwrap().denied_jtis().contains("j-1").await.unwrap()
    };
    assert!(!contains("other").await);
    assert_eq!(swept(&db, after(Duration::from_secs(899))).await["denials"], 0);
    assert!(contains("acme").await);
    assert_eq!(swept(&db, after(Duration::from_secs(900))).await["denials"], 1);
    assert!(!contains("acme").await);
}

#[tokio::test]
async fn families_go_a_day_after_their_end_with_all_their_tokens() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = registered(&database, "acme", "ann@example.com").await;
    let (family, first) = logged_in(&database, "acme", &ann).await;
    let successor = token(&family, now());
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let mut tokens = work.refresh_tokens();
    tokens.insert(&successor).await.unwrap();
    tokens.mark_used_with_successor(first.id, successor.id, &overlap(), now()).await.unwrap();
    work.commit().await.unwrap();

    let day = Duration::from_secs(24 * 3600);
    assert_eq!(swept(&db, after(7 * day + Duration::from_secs(3600))).await["families"], 0);
    assert_eq!(swept(&db, after(8 * day)).await["families"], 1);
    let mut look = db.connection().await;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM refresh_tokens").fetch_one(&mut look).await.unwrap();
    assert_eq!(left, 0);
    look.close().await.unwrap();
}
