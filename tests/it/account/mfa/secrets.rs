//! S112: what the database holds of second factors opens nothing. And nothing stays longer than it is good for.

use std::time::Duration;

use hellojohn::domain::clock::Clock as _;
use serde_json::json;

use super::{PASSWORD, World, text_of};

/// Every row of every table, as text.
async fn dump(world: &World) -> String {
    let mut connection = world.db.connection().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(tables.len() >= 9, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        let query = format!("SELECT row_to_json(t)::text FROM \"{table}\" t");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        text.push_str(&rows.join("\n"));
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_dump_of_the_database_has_no_seed_no_code_and_no_token() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let used = world.half(&ann).await;
    let remember = json!({"mfa_token": used, "code": world.next_code(&ann.secret), "remember_device": true});
    let answer = world.post("/v1/mfa/totp/challenge", &remember).await;
    let device = answer.header("set-cookie").unwrap()[10..].split(';').next().unwrap().to_owned();
    let waiting = world.half(&ann).await;
    let both = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    let enrolled = world.enroll(&ann.tokens.access, &both).await.json();
    let next = text_of(&enrolled, "secret_base32");

    let text = dump(&world).await;
    assert_eq!(text.matches("GCMV1-MFA:").count(), 2, "sealed, and there");
    let mut secrets = Vec::new();
    for seed in [&ann.secret, &next] {
        let bytes = data_encoding::BASE32_NOPAD.decode(seed.as_bytes()).unwrap();
        secrets.extend([
            seed.clone(),
            hex(&bytes),
            data_encoding::BASE64.encode(&bytes),
            data_encoding::BASE64URL_NOPAD.encode(&bytes),
        ]);
    }
    for code in &ann.recovery {
        let bare = code.replace('-', "");
        let bytes = data_encoding::BASE32_NOPAD.decode(bare.to_uppercase().as_bytes()).unwrap();
        secrets.extend([code.clone(), bare, hex(&bytes), hex(code.as_bytes())]);
    }
    for token in [&waiting, &device] {
        let random = token.split_once('.').unwrap().1;
        let bytes = data_encoding::BASE64URL_NOPAD.decode(random.as_bytes()).unwrap();
        secrets.extend([random.to_owned(), hex(&bytes), hex(token.as_bytes())]);
    }
    for secret in secrets {
        assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{secret} is in the database");
    }
    world.end().await;
}

/// Rows that are over are swept; those that are not stay.
#[tokio::test]
async fn what_is_over_is_swept() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let remember = json!({"mfa_token": world.half(&ann).await, "code": world.next_code(&ann.secret), "remember_device": true});
    assert_eq!(world.post("/v1/mfa/totp/challenge", &remember).await.status, 200);
    world.half(&ann).await;
    let both = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    assert_eq!(world.enroll(&ann.tokens.access, &both).await.status, 200);
    let database = world.db.database();
    for (after, removed) in
        [(0, 0), (269, 0), (1, 1), (629, 0), (1, 1), (30 * 86_400 - 931, 0), (1, 1), (86_400 * 365, 0)]
    {
        world.clock.advance(Duration::from_secs(after));
        let swept = database.sweep(world.clock.now(), None).await.unwrap();
        assert_eq!(swept.second_factors, removed, "after {after} more");
    }
    for table in [
        "SELECT count(*) FROM mfa_tokens",
        "SELECT count(*) FROM totp_enrolments",
        "SELECT count(*) FROM trusted_devices",
    ] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    assert_eq!(world.count("SELECT count(*) FROM totp_factors").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM recovery_codes").await, 10);
    world.end().await;
}
