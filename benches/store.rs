//! What storing costs: batches of 500 events into the database that `DATABASE_URL` names (a migrated one without
//! content), with the CPU time of all of PostgreSQL's processes. `EVENTS` (50,000) says how many, `ISSUES` (50) of how
//! many issues.
//!
//! The events are as in `benches/corpus`: 1,000 users, 8 servers, 5 releases, 18 tags.

use std::fs;
use std::time::Instant;

use chrono::Utc;
use glitchbox::ids::{EventId, ProjectId};
use glitchbox::protocol::{EventKind, Level};
use glitchbox::store::event_batch::{NewEvent, write};
use glitchbox::store::{organization, payload, project};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

const BODY: &str = include_str!("corpus/event-3k.json");
const BATCH: usize = 500;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let setting = |name: &str| glitchbox::config::environment(name);
    let url = setting("DATABASE_URL").ok_or_else(|| anyhow::anyhow!("set DATABASE_URL"))?;
    let events: usize = setting("EVENTS").map_or(Ok(50_000), |text| text.parse())?;
    let issues: u64 = setting("ISSUES").map_or(Ok(50), |text| text.parse())?;
    let config = glitchbox::config::Config::from_lookup(&|name| (name == "DATABASE_URL").then(|| url.clone()))?;
    let pool = glitchbox::store::pool::connect(&config)?;
    let slug = format!("bench-{}", Uuid::new_v4().simple());
    let organization = organization::insert(&pool, &slug, "Bench").await?;
    let new = project::NewProject { organization_id: organization.id, slug: "web", name: "Web", platform: "" };
    let project = project::insert(&pool, new).await?.id;
    let postmaster = postmaster(&pool).await?;

    let mut random = Random(1);
    let (mut begin, mut begin_cpu, mut stored) = (Instant::now(), 0.0, 0);
    let mut writing = 0.0;
    for number in 0..events / BATCH {
        let batch: Vec<NewEvent> = (0..BATCH).map(|_| event(&mut random, project, issues)).collect::<Result<_, _>>()?;
        if number % 20 == 0 {
            if stored > 0 {
                report(number * BATCH, stored, begin, writing, cpu(postmaster)? - begin_cpu);
            }
            (begin, begin_cpu, stored, writing) = (Instant::now(), cpu(postmaster)?, 0, 0.0);
        }
        let start = Instant::now();
        stored += write(&pool, &batch).await?.stored;
        writing += start.elapsed().as_secs_f64();
    }
    if stored > 0 {
        report(events, stored, begin, writing, cpu(postmaster)? - begin_cpu);
    }
    let bytes: i64 = sqlx::query_scalar("select pg_database_size(current_database())").fetch_one(&pool).await?;
    println!("{} MB in the database", bytes / 1_000_000);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn report(total: usize, stored: usize, begin: Instant, writing: f64, cpu: f64) {
    let events = stored as f64;
    println!(
        "{total:>8} events: {:.3} ms PostgreSQL CPU an event, {:.3} ms waiting for a write, {:.3} ms in all",
        cpu * 1e3 / events,
        writing * 1e3 / events,
        begin.elapsed().as_secs_f64() * 1e3 / events,
    );
}

struct Random(u64);

impl Random {
    /// SplitMix64: no pattern between one value and the next.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn event(random: &mut Random, project_id: ProjectId, issues: u64) -> anyhow::Result<NewEvent> {
    let issue = random.below(issues);
    let id = EventId::random();
    let now = Utc::now();
    let user = random.below(1_000);
    let release = format!("shop@1.4.{}", random.below(5));
    let transaction = format!("/api/product/{issue}/invoice");
    let body = BODY
        .replace("0123456789abcdef0123456789abcdef", &id.to_string())
        .replace("invoice", &format!("invoice{issue}"))
        .replace("969", &user.to_string())
        .replace("a438bb33", &format!("{:08x}", random.below(1 << 31)))
        .replace("7bbd6e1c1e71cf15d3025da7d006badb", &Uuid::new_v4().simple().to_string());
    let url = format!("https://shop.example.com{transaction}");
    let tags = [
        ("level", "error"),
        ("environment", "production"),
        ("release", &release),
        ("transaction", &transaction),
        ("logger", "django.request"),
        ("url", &url),
        ("mechanism", "django"),
        ("handled", "no"),
        ("runtime", "CPython 3.12.4"),
        ("runtime.name", "CPython"),
        ("browser", "Chrome 126.0.0"),
        ("browser.name", "Chrome"),
        ("os", "Linux"),
        ("os.name", "Linux"),
        ("region", &format!("eu-{}", issue % 3)),
        ("tier", &format!("{}", issue % 2)),
        ("shard", "shard-1"),
        ("server_name", &format!("web-{}", random.below(8))),
    ];
    let mut hash = [0; 32];
    hash.iter_mut().zip(issue.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).for_each(|(to, from)| *to = from);
    Ok(NewEvent {
        project_id,
        event_id: id,
        ingest_id: Uuid::now_v7(),
        received_at: now,
        received_on: now.date_naive(),
        occurred_at: now,
        kind: EventKind::Error,
        level: Level::Error,
        platform: "python".to_owned(),
        environment: Some("production".to_owned()),
        release: Some(release.clone()),
        hash,
        hash_version: 1,
        title: format!("ValueError: product invoice could not be processed (case {issue})"),
        culprit: transaction.clone(),
        metadata: json!({"type": "ValueError", "value": format!("product invoice could not be processed (case {issue})"),
            "filename": "shop/customer/customer.py", "function": format!("product_invoice_{issue}")}),
        logger: "django.request".to_owned(),
        is_unhandled: true,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        user: Some(format!("id:{user}")),
        payload: payload::compress(body.as_bytes(), None)?,
    })
}

/// The parent of all of PostgreSQL's processes.
async fn postmaster(pool: &PgPool) -> anyhow::Result<i32> {
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(pool).await?;
    Ok(stat(backend).and_then(|fields| fields.get(1)?.parse().ok()).unwrap_or(0))
}

/// CPU seconds of the server's processes, those that have ended included.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn cpu(postmaster: i32) -> anyhow::Result<f64> {
    let mut ticks = 0_u64;
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Some(fields) = stat(pid) else { continue };
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        if pid == postmaster {
            ticks += number(11) + number(12) + number(13) + number(14);
        } else if number(1) == u64::try_from(postmaster)? {
            ticks += number(11) + number(12);
        }
    }
    // The kernel counts in hundredths of a second everywhere that matters.
    Ok(ticks as f64 / 100.0)
}

/// The fields of /proc/PID/stat behind the name: state, parent, ...
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}
