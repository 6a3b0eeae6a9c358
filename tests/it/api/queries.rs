//! How many statements a list takes: the same few, however long it is.

use std::cell::Cell;
use std::fmt::Debug;

use super::seed::{Seed, member, store};
use crate::support::TestApp;

thread_local! {
    // A test's runtime has one thread, so the application of a test runs on the test's own.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// Counts the statements that sqlx logs. For the whole process, since what tracing remembers of a
/// place in the code is the same for all threads.
struct Statements;

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut visit = IsSetting(false);
        event.record(&mut visit);
        if !visit.0 {
            COUNT.set(COUNT.get() + 1);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What a new connection of the pool begins with says nothing of the list.
struct IsSetting(bool);

impl tracing::field::Visit for IsSetting {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.0 |= field.name() == "summary" && format!("{value:?}").trim_start_matches('"').starts_with("set ");
    }
}

#[tokio::test]
async fn a_list_takes_the_same_few_statements_whatever_its_length() {
    let app = TestApp::start().await;
    let client = member(&app).await;
    let one: Vec<Seed> = vec![Seed::new(app.project.id, "A: a", 9)];
    store(&app, &one).await;
    // The token's first use is noted, and the pool makes its connection.
    client.get("/api/0/auth/").await.expect(200);

    tracing::subscriber::set_global_default(Statements).unwrap();
    let statements = async |path: &str| {
        COUNT.set(0);
        client.get(&format!("/api/0/{path}")).await.expect(200);
        COUNT.get()
    };
    let lists = [
        ("organizations/", 2),
        ("projects/", 3),
        ("projects/default/default/keys/", 6),
        ("organizations/default/issues/", 7),
        ("projects/default/default/issues/", 7),
        ("issues/1/events/", 4),
        ("issues/1/events/?full=true", 4),
        ("projects/default/default/events/", 7),
        ("issues/1/tags/", 4),
    ];
    for (path, most) in lists {
        let taken = statements(path).await;
        assert!((1..=most).contains(&taken), "{path}: {taken} statements");
    }
    let first: Vec<usize> = [statements(lists[3].0).await, statements(lists[5].0).await].into();
    let more: Vec<Seed> = (0..60).map(|n| Seed::new(app.project.id, &format!("E{}: x", n % 30), 8)).collect();
    store(&app, &more).await;
    assert_eq!(first, [statements(lists[3].0).await, statements(lists[5].0).await]);
}
