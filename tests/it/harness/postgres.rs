//! A real PostgreSQL for tests: [`TestDb::new`] gives a fresh, migrated database.
//!
//! One throw-away server serves all tests of a process that run at the same time; the last one that ends stops
//! it. A server begins as a copy of a data directory that already has the migrated template database, made once
//! for each state of the migrations and kept in the target directory: `initdb` and the migrations cost a second,
//! the copy a tenth of it, which counts when every test is a process of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use hellojohn::boot::private_postgres::{PrivatePostgres, PrivatePostgresOptions};
use hellojohn::store::{Database, Dsn, PoolSettings, Pools};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

const TEMPLATE: &str = "hellojohn_template";

static SHARED: Mutex<Weak<TestServer>> = Mutex::const_new(Weak::new());
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A throw-away server and its directory.
pub(crate) struct TestServer {
    // Stopped before its directory goes.
    postgres: PrivatePostgres,
    _directory: tempfile::TempDir,
}

/// A fresh database on the shared server.
pub(crate) struct TestDb {
    server: Arc<TestServer>,
    name: String,
}

impl TestServer {
    /// The server of this process; started by the first test that needs it.
    pub(crate) async fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&server);
        server
    }

    async fn start() -> Self {
        let template = template().await;
        let directory = short_directory();
        copy(&template, directory.path());
        let postgres = start(directory.path()).await;
        Self { postgres, _directory: directory }
    }
}

impl TestDb {
    /// A fresh database with the current schema.
    pub(crate) async fn new() -> Self {
        Self::from_template(Some(TEMPLATE)).await
    }

    /// A fresh database without any schema.
    pub(crate) async fn empty() -> Self {
        Self::from_template(None).await
    }

    async fn from_template(template: Option<&str>) -> Self {
        let server = TestServer::shared().await;
        let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        assert!(server.postgres.ensure_database(&name, template).await.unwrap());
        Self { server, name }
    }

    /// Its DSN, for a process or a pool.
    pub(crate) fn dsn(&self) -> String {
        self.server.postgres.dsn(&self.name)
    }

    /// Pools with this database as the global one.
    pub(crate) fn pools(&self) -> Pools {
        self.pools_with(PoolSettings::default())
    }

    /// Pools of chosen size with this database as the global one.
    pub(crate) fn pools_with(&self, settings: PoolSettings) -> Pools {
        Pools::new(settings, Some(&Dsn::parse(&self.dsn()).unwrap()))
    }

    /// A handle on this database.
    pub(crate) fn database(&self) -> Database {
        self.pools().global().unwrap().clone()
    }

    /// A connection without any of our settings, for looking and meddling.
    pub(crate) async fn connection(&self) -> sqlx::PgConnection {
        <sqlx::PgConnection as sqlx::Connection>::connect(&self.dsn()).await.unwrap()
    }

    /// Ends all connections and refuses new ones, as a database that is down.
    pub(crate) async fn refuse_connections(&self) {
        // Not over a connection to the database itself, which could not be closed to others.
        let dsn = self.server.postgres.dsn("postgres");
        let mut other = <sqlx::PgConnection as sqlx::Connection>::connect(&dsn).await.unwrap();
        for command in [
            format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", self.name),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(command)).execute(&mut other).await.unwrap();
        }
    }
}

/// A directory that the server's user can reach and whose socket path is short, wherever the build is.
pub(crate) fn short_directory() -> tempfile::TempDir {
    // In memory where there is plenty: making and removing some thousand files is most of a short test.
    let free = nix::sys::statvfs::statvfs("/dev/shm").map(|fs| fs.blocks_available() * fs.fragment_size());
    let root = if free.is_ok_and(|bytes| bytes > 2 << 30) { "/dev/shm" } else { "/tmp" };
    let directory = tempfile::Builder::new().prefix("hj-").tempdir_in(root).unwrap();
    // Open for the server's user to pass; what is inside is private.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    directory
}

async fn start(directory: &Path) -> PrivatePostgres {
    let options = PrivatePostgresOptions::throw_away(directory.join("pg"));
    PrivatePostgres::start(options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The data directory to copy, made by the first process that needs it.
async fn template() -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("postgres");
    std::fs::create_dir_all(&home).unwrap();
    let place = home.join(format!("template-{}", migrations_hash()));
    let lock = home.join("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock).unwrap();
    // Another process may be making it; waiting for a lock blocks, so it has a thread of its own.
    let lock: File = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    if !place.exists() {
        let building = short_directory();
        start(building.path()).await.stop();
        // Now shut down in order, unlike a throw-away server, so that a copy has nothing to recover.
        let options = PrivatePostgresOptions::kept(building.path().join("pg"));
        let server = PrivatePostgres::start(options).await.unwrap();
        server.ensure_database(TEMPLATE, None).await.unwrap();
        let dsn = Dsn::parse(&server.dsn(TEMPLATE)).unwrap();
        let pools = Pools::new(PoolSettings::default(), Some(&dsn));
        pools.global().unwrap().migrate().await.unwrap();
        pools.close(std::time::Duration::from_secs(5)).await;
        server.stop();
        let half = home.join("half");
        if half.exists() {
            std::fs::remove_dir_all(&half).unwrap();
        }
        copy(building.path(), &half);
        std::fs::rename(&half, &place).unwrap();
    }
    drop(lock);
    place
}

/// Changes when a migration does, or the machine's PostgreSQL.
fn migrations_hash() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(std::fs::read(file).unwrap());
    }
    let installed = std::fs::read_dir("/usr/lib/postgresql");
    let mut versions: Vec<_> =
        installed.into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
    versions.sort();
    hash.update(format!("{versions:?}"));
    hash.update(include_str!("../../../src/boot/private_postgres/server.rs"));
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Copies a directory's content with owners and modes.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let status = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}
