//! Project keys while PostgreSQL is away: refused, hanging, and not there at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use glitchbox::app::App;
use glitchbox::cli::web_routes;
use glitchbox::config::Config;
use glitchbox::http::server;
use glitchbox::ingest::Edge;
use glitchbox::shutdown::Shutdown;
use glitchbox::store::project_key;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::support::{Client, Reply, TestApp};

const STRANGER: &str = "ffffffffffffffffffffffffffffffff";

/// What the way to PostgreSQL does with what comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Connections stay open, nothing moves: a stopped server.
    Stuck,
    /// Connections are closed.
    Closed,
}

/// A proxy in front of PostgreSQL.
struct Gate {
    url: String,
    way: watch::Sender<Way>,
}

impl Gate {
    async fn open(app: &TestApp) -> Self {
        let (sockets, database) = {
            let url = app.database.url();
            let (_, rest) = url.split_once('@').unwrap();
            let (sockets, database) = rest.split_once('/').unwrap();
            (PathBuf::from(sockets.replace("%2F", "/")), database.to_owned())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://postgres@{}/{database}", listener.local_addr().unwrap());
        let (way, seen) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, sockets.join(".s.PGSQL.5432"), seen.clone()));
            }
        });
        Self { url, way }
    }

    fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(mut client: TcpStream, server: PathBuf, mut way: watch::Receiver<Way>) {
    let Ok(mut server) = UnixStream::connect(server).await else { return };
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Closed => return,
            Way::Stuck => drop(way.changed().await),
            Way::Open => tokio::select! {
                _ = way.changed() => {}
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            },
        }
    }
}

/// A web process: what another one left in its folder is what it begins with.
pub(crate) struct Web {
    client: Client,
    shutdown: Shutdown,
    path: String,
}

impl Web {
    pub(crate) fn start(app: &TestApp, database_url: &str, data_dir: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (redis, data_dir) = (app.redis.url(), data_dir.display().to_string());
        let lookup = |name: &str| match name {
            "DATABASE_URL" => Some(database_url.to_owned()),
            "REDIS_URL" => Some(redis.clone()),
            "DATA_DIR" => Some(data_dir.clone()),
            _ => None,
        };
        let web = Arc::new(App::connect(Config::from_lookup(&lookup).unwrap()).unwrap());
        let shutdown = Shutdown::new();
        let router = web_routes(Edge::open(&web).unwrap()).with_state(Arc::clone(&web));
        let config = Arc::new(web.config.clone());
        tokio::spawn(server::serve(listener, router, config, Arc::default(), shutdown.clone()));
        Self { client: Client::new(address), shutdown, path: format!("/api/{}/envelope/", app.project.id) }
    }

    pub(crate) async fn send(&self, key: &str) -> Reply {
        let body = "{}\n{\"type\":\"event\"}\n{\"message\":\"hello\"}\n";
        self.client.post(&format!("{}?sentry_key={key}", self.path), &[], body).await
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

/// The file, once it holds `text`.
async fn written(data_dir: &Path, text: &str) -> String {
    let file = data_dir.join("spool/keys");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let content = std::fs::read_to_string(&file).unwrap_or_default();
        if content.contains(text) {
            return content;
        }
        assert!(Instant::now() < deadline, "{} holds {content:?}, not {text}", file.display());
        sleep(Duration::from_millis(20)).await;
    }
}

/// An application, and the folder of a web process that has seen its key and is gone.
async fn with_a_copy() -> (TestApp, tempfile::TempDir) {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start(&app, &app.database.url(), folder.path());
    web.send(&app.key.public_key).await.expect(200);
    written(folder.path(), &app.key.public_key).await;
    (app, folder)
}

#[tokio::test]
async fn web_starts_and_serves_with_postgresql_away() {
    let (app, folder) = with_a_copy().await;
    for way in [Way::Closed, Way::Stuck] {
        let gate = Gate::open(&app).await;
        gate.set(way);
        let web = Web::start(&app, &gate.url, folder.path());
        web.client.get("/_health/").await.expect(200);
        let mut times = Vec::new();
        for _ in 0..20 {
            let started = Instant::now();
            web.send(&app.key.public_key).await.expect(200);
            times.push(started.elapsed());
        }
        times.sort();
        assert!(times[18] < Duration::from_millis(600), "{way:?}: {times:?}");
        // The copy is complete, so this key does not exist.
        web.send(STRANGER).await.expect(403);
        let started = Instant::now();
        web.send(&STRANGER.replace("ff", "fe")).await.expect(403);
        assert!(started.elapsed() < Duration::from_millis(800), "{way:?}: {:?}", started.elapsed());
        // What was made meanwhile is served as soon as PostgreSQL is back.
        let new = project_key::insert(app.database.pool(), app.project.id, "new").await.unwrap();
        web.send(&new.public_key).await.expect(403);
        gate.set(Way::Open);
        let back = Instant::now();
        while web.send(&new.public_key).await.status != 200 {
            assert!(back.elapsed() < Duration::from_secs(10), "{way:?}: the new key is not served");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_disabled_key_stays_refused_with_postgresql_away() {
    let (app, folder) = with_a_copy().await;
    let web = Web::start(&app, &app.database.url(), folder.path());
    web.send(&app.key.public_key).await.expect(200);
    project_key::set_active(app.database.pool(), &app.key.public_key, false).await.unwrap();
    let disabled = Instant::now();
    while web.send(&app.key.public_key).await.status == 200 {
        assert!(disabled.elapsed() < Duration::from_secs(6), "the key still opens the project");
        sleep(Duration::from_millis(100)).await;
    }
    written(folder.path(), "false").await;
    drop(web);
    let gate = Gate::open(&app).await;
    gate.set(Way::Closed);
    let web = Web::start(&app, &gate.url, folder.path());
    web.send(&app.key.public_key).await.expect(403);
}

#[tokio::test]
async fn a_key_that_was_disabled_while_nobody_sent_is_refused_at_once() {
    let (app, folder) = with_a_copy().await;
    project_key::set_active(app.database.pool(), &app.key.public_key, false).await.unwrap();
    // What the last process wrote is not believed while PostgreSQL can be asked.
    let web = Web::start(&app, &app.database.url(), folder.path());
    web.send(&app.key.public_key).await.expect(403);
}

#[tokio::test]
async fn without_a_sound_and_complete_copy_no_key_is_judged() {
    let (app, folder) = with_a_copy().await;
    let gate = Gate::open(&app).await;
    gate.set(Way::Closed);
    let file = folder.path().join("spool/keys");
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [flipped, good[..good.len() / 2].to_vec(), b"something else\n".to_vec(), Vec::new()] {
        std::fs::write(&file, &bytes).unwrap();
        let web = Web::start(&app, &gate.url, folder.path());
        let reply = web.send(&app.key.public_key).await.expect(503);
        assert_eq!(reply.header("retry-after"), "5");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    Web::start(&app, &gate.url, folder.path()).send(&app.key.public_key).await.expect(503);
    // It mends itself once PostgreSQL is back.
    std::fs::remove_dir(&file).unwrap();
    let web = Web::start(&app, &gate.url, folder.path());
    gate.set(Way::Open);
    written(folder.path(), &app.key.public_key).await;
    web.send(&app.key.public_key).await.expect(200);
}

#[tokio::test]
async fn nobody_waits_for_a_postgresql_that_hangs() {
    let app = TestApp::start().await;
    let gate = Gate::open(&app).await;
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start(&app, &gate.url, folder.path());
    web.send(&app.key.public_key).await.expect(200);
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(9) {
        if started.elapsed() > Duration::from_secs(1) {
            gate.set(Way::Stuck);
        }
        let sent = Instant::now();
        web.send(&app.key.public_key).await.expect(200);
        times.push(sent.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    assert!(p99 < Duration::from_millis(600), "p99 is {p99:?}, the slowest {:?}", times.last());
}
