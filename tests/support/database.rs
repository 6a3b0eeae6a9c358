//! One PostgreSQL server for the test process, one fresh database for each test.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgPool};

use super::keeper::{Kept, is_root, new_dir};

const TEMPLATE: &str = "glitchbox_template";

/// Held for the whole process. In a mutex so that the exit of the process, not of a test, ends it.
static SERVER: OnceLock<Mutex<Kept>> = OnceLock::new();
static SOCKETS: OnceLock<PathBuf> = OnceLock::new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A migrated database that belongs to one test.
pub(crate) struct TestDatabase {
    pool: PgPool,
    name: String,
}

impl TestDatabase {
    /// Copies the migrated template; the first call of the process starts the server.
    pub(crate) async fn new() -> Self {
        tokio::task::spawn_blocking(|| SERVER.get_or_init(|| Mutex::new(start()))).await.unwrap();
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        // The name is a number of ours.
        let sql = format!("create database {name} template {TEMPLATE}");
        let mut admin = options("postgres").connect().await.unwrap();
        admin.execute(AssertSqlSafe(sql)).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(options(&name));
        Self { pool, name }
    }

    /// A pool of five connections.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// As `DATABASE_URL` takes it.
    pub(crate) fn url(&self) -> String {
        let sockets = sockets().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{sockets}/{}", self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A hundred databases of eight megabytes each are worth removing, but nothing to wait for.
        let mut dropdb = Command::new(binaries().join("dropdb"));
        dropdb.args(["--force", "--if-exists", "-U", "postgres", "-h"]).arg(sockets()).arg(&self.name);
        drop(dropdb.stderr(std::process::Stdio::null()).spawn());
    }
}

fn sockets() -> &'static Path {
    SOCKETS.get().expect("the server has been started")
}

fn options(database: &str) -> PgConnectOptions {
    PgConnectOptions::new().socket(sockets()).username("postgres").database(database)
}

/// Where Debian keeps the newest installed PostgreSQL; the servers' programs are not on PATH.
pub(crate) fn binaries() -> PathBuf {
    let mut versions: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed (scripts/install-packages)")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    let newest = versions.last().expect("a version of PostgreSQL under /usr/lib/postgresql");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// initdb, start, template.
fn start() -> Kept {
    let dir = new_dir("gbt-pg-");
    let data = dir.join("data");
    let user: &[&str] = if is_root() {
        let chown = Command::new("chown").arg("postgres:").arg(&dir).status().unwrap();
        assert!(chown.success());
        &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    } else {
        &["env", "--"]
    };
    let (data_text, dir_text) = (data.display().to_string(), dir.display().to_string());
    let initdb = binaries().join("initdb").display().to_string();
    let arguments = [&initdb, "-D", &data_text, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"];
    let command: Vec<&str> = user.iter().copied().chain(arguments).chain(["--no-sync", "--no-instructions"]).collect();
    let output = Command::new(command[0]).args(&command[1..]).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let postgres = binaries().join("postgres").display().to_string();
    let mut command: Vec<&str> = user.iter().copied().chain([postgres.as_str(), "-D", &data_text]).collect();
    command.extend(["-k", &dir_text, "-c", "listen_addresses="]);
    // Speed only: nothing here has to survive a power cut.
    for setting in ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"] {
        command.extend(["-c", setting]);
    }
    SOCKETS.set(dir.clone()).expect("the server is started once");
    let server = Kept::spawn(dir.clone(), "QUIT", &command);
    let socket = dir.join(".s.PGSQL.5432");
    server.wait_until("PostgreSQL", || UnixStream::connect(&socket).is_ok());
    std::thread::spawn(make_template).join().expect("the migrations run");
    server
}

/// On a thread of its own, since the caller may be inside a test's runtime.
fn make_template() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut admin = loop {
            // The socket accepts connections a moment before the server does.
            match options("postgres").connect().await {
                Ok(connection) => break connection,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        admin.execute("create role analytics_ro login").await.unwrap();
        admin.execute(AssertSqlSafe(format!("create database {TEMPLATE}"))).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options(TEMPLATE)).await.unwrap();
        sqlx::migrate!("./migrations").run(&pool).await.unwrap();
        // A database with connections cannot be copied.
        pool.close().await;
    });
}
