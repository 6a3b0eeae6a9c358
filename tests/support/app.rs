//! The application as web runs it, on a free port, over a database and a Redis of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use glitchbox::alert::throttle::Policy;
use glitchbox::app::App;
use glitchbox::cli::web_routes;
use glitchbox::config::Config;
use glitchbox::http::server;
use glitchbox::ingest::Edge;
use glitchbox::jobs::{BEATS, beat, send_alerts, store_events};
use glitchbox::queue::{Consumer, Queue};
use glitchbox::shutdown::Shutdown;
use glitchbox::store::organization::{self, Organization};
use glitchbox::store::project::{self, NewProject, Project};
use glitchbox::store::project_key::{self, ProjectKey};

use super::{Client, Reply, TestDatabase, TestRedis};

/// The production router, with organization `default`, project `default` and its key.
pub(crate) struct TestApp {
    pub(crate) app: Arc<App>,
    pub(crate) edge: Arc<Edge>,
    _data: tempfile::TempDir,
    pub(crate) database: TestDatabase,
    pub(crate) redis: TestRedis,
    pub(crate) organization: Organization,
    pub(crate) project: Project,
    pub(crate) key: ProjectKey,
    address: SocketAddr,
    shutdown: Shutdown,
    worker: AtomicBool,
}

impl TestApp {
    /// With the settings every instance starts with.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these environment variables.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        let (database, redis) = (TestDatabase::new().await, TestRedis::start());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let data = tempfile::Builder::new().prefix("gbt-data-").tempdir().unwrap();
        let data_dir = data.path().display().to_string();
        let (database_url, redis_url, port) = (database.url(), redis.url(), address.port().to_string());
        let own = [
            ("DATABASE_URL", database_url.as_str()),
            ("REDIS_URL", redis_url.as_str()),
            ("PORT", port.as_str()),
            ("DATA_DIR", data_dir.as_str()),
        ];
        let lookup = |name: &str| {
            let pairs = environment.iter().chain(&own);
            pairs.clone().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_lookup(&lookup).unwrap();
        let app = Arc::new(App::connect(config).unwrap());
        let (organization, project, key) = first_project(&app).await;
        let shutdown = Shutdown::new();
        let edge = Edge::open(&app).unwrap();
        let router = web_routes(Arc::clone(&edge)).with_state(Arc::clone(&app));
        tokio::spawn(server::serve(listener, router, Arc::new(app.config.clone()), Arc::default(), shutdown.clone()));
        Self {
            app,
            edge,
            _data: data,
            database,
            redis,
            organization,
            project,
            key,
            address,
            shutdown,
            worker: AtomicBool::new(false),
        }
    }

    /// A client without credentials.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Where the application listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The project's DSN.
    pub(crate) fn dsn(&self) -> String {
        self.key.dsn(&self.app.config.public_url)
    }

    /// Sends `event` as an SDK does; an `event_id` is added unless it has one.
    pub(crate) async fn send_event(&self, event: &serde_json::Value) -> Reply {
        let mut event = event.clone();
        let id = event["event_id"].as_str().map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
        event["event_id"] = id.clone().into();
        let envelope = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{event}\n");
        let auth = format!("Sentry sentry_version=7, sentry_key={}", self.key.public_key);
        let path = format!("/api/{}/envelope/", self.project.id);
        self.client().post(&path, &[("x-sentry-auth", &auth)], envelope).await
    }

    /// Runs the worker's job until nothing is left in the queue; the first call starts it.
    pub(crate) async fn drain(&self) {
        if !self.worker.swap(true, Ordering::Relaxed) {
            let consumer = Consumer::connect(&self.app.config, Queue::Ingest, "1").unwrap();
            let (app, shutdown) = (Arc::clone(&self.app), self.shutdown.clone());
            beat::start(&app, BEATS, &shutdown);
            tokio::spawn(async move { store_events::run(&app, consumer, &shutdown, || ()).await });
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.queued_events().await > 0 || self.redis.command("XLEN q:ingest") != ":0" {
            assert!(Instant::now() < deadline, "the worker leaves events in the queue");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A second web process, so to speak, over the same data directory; it ends with what is given back.
    pub(crate) fn another_web(&self) -> (Client, Arc<Edge>, Shutdown) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (edge, shutdown) = (Edge::open(&self.app).unwrap(), Shutdown::new());
        let router = web_routes(Arc::clone(&edge)).with_state(Arc::clone(&self.app));
        let config = Arc::new(self.app.config.clone());
        tokio::spawn(server::serve(listener, router, config, Arc::default(), shutdown.clone()));
        (Client::new(address), edge, shutdown)
    }

    /// Events in the queue, once everything accepted so far is there.
    pub(crate) async fn queued_events(&self) -> usize {
        // Whoever asks again and again lets the others work.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.edge.spool().state.unshipped_bytes > 0 {
            assert!(Instant::now() < deadline, "the spool keeps what it has");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let count = "local n = 0 for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do \
                     if string.find(entry[2][2], '\\\"item_type\\\":\\\"event\\\"', 1, true) then n = n + 1 end end return n";
        self.redis.command(&format!("EVAL \"{count}\" 1 q:ingest")).trim_start_matches(':').parse().unwrap()
    }
}

impl TestApp {
    /// Starts the worker's sender of alerts; it ends with the shutdown that is given back, or with the application.
    pub(crate) fn send_alerts(&self, policy: Policy) -> (Shutdown, tokio::task::JoinHandle<()>) {
        let shutdown = Shutdown::new();
        let (app, its_own) = (Arc::clone(&self.app), shutdown.clone());
        let task = tokio::spawn(async move { send_alerts::run(&app, policy, &its_own).await });
        let (all, its_own) = (self.shutdown.clone(), shutdown.clone());
        tokio::spawn(async move {
            all.stopping().await;
            its_own.stop();
        });
        (shutdown, task)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

async fn first_project(app: &App) -> (Organization, Project, ProjectKey) {
    let organization = organization::insert(&app.db, "default", "Default").await.unwrap();
    let new = NewProject { organization_id: organization.id, slug: "default", name: "Default", platform: "" };
    let project = project::insert(&app.db, new).await.unwrap();
    let key = project_key::insert(&app.db, project.id, "Default").await.unwrap();
    (organization, project, key)
}
