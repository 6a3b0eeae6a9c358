//! Sends the test messages that people ask for on the pages of alerts, as soon as the queue says that there is one.
//!
//! They are apart from the alerts themselves: no throttle holds them back, and none is tried again by itself, since
//! somebody looks at the result and can ask again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::send_alerts::transport::{Parcel, Transport};
use crate::alert::test_message::test_message;
use crate::app::App;
use crate::queue::{Consumer, Entry};
use crate::shutdown::Shutdown;
use crate::store::alert::RecipientKind;
use crate::store::alert_test::{self, ClaimedTest};

/// Entries of the queue read at once. Each only says that there is something to do.
const READ: usize = 64;

/// Pause after an error of the queue or of the database.
const RETRY: Duration = Duration::from_secs(2);

/// Sends what is asked for, until `shutdown`; returns when the messages under way are settled.
pub async fn run(app: &Arc<App>, mut consumer: Consumer, shutdown: &Shutdown) {
    let transport = Arc::new(Transport::new(&app.config));
    let settler = consumer.settler();
    let mut sending = JoinSet::new();
    loop {
        let entries = tokio::select! {
            biased;
            () = shutdown.draining() => break,
            Some(_) = sending.join_next() => continue,
            entries = next(&mut consumer) => entries,
        };
        let ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
        if ids.is_empty() {
            continue;
        }
        if let Err(error) = start(app, &transport, &mut sending).await {
            tracing::warn!(error = format!("{error:#}"), "test messages cannot be looked at; trying again");
            settler.release(&ids);
            sleep(RETRY).await;
            continue;
        }
        if let Err(error) = settler.acknowledge(ids).await {
            tracing::debug!(%error, "the queue keeps an entry that is done");
        }
    }
    while sending.join_next().await.is_some() {}
}

/// What the queue has; nothing after a while, or after an error and a pause.
async fn next(consumer: &mut Consumer) -> Vec<Entry> {
    match consumer.read(READ, true).await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!(%error, "the queue cannot be read");
            sleep(RETRY).await;
            Vec::new()
        }
    }
}

/// Starts sending every message that waits; there is at most one for each recipient.
async fn start(app: &Arc<App>, transport: &Arc<Transport>, sending: &mut JoinSet<()>) -> anyhow::Result<()> {
    while let Some(test) = alert_test::claim(&app.db).await? {
        let (app, transport) = (Arc::clone(app), Arc::clone(transport));
        sending.spawn(async move { send(&app, &transport, &test).await });
    }
    Ok(())
}

async fn send(app: &App, transport: &Transport, test: &ClaimedTest) {
    let content = test_message(test, app.config.public_url.as_str().trim_end_matches('/'));
    let parcel = Parcel {
        kind: test.kind,
        // A test by mail goes to who asked for it, not to everybody.
        destination: if test.kind == RecipientKind::Email { &test.email } else { &test.url },
        secret: test.secret.0.as_ref(),
        content: &content,
        id: &format!("test-{}-{}", test.recipient_id, test.requested_at.timestamp_micros()),
        thread: None,
        alerts_page: Some(content.link.clone()),
        list: format!("{}.{}", test.project_slug, test.organization_slug),
    };
    let error = transport.send(&parcel).await.err();
    if let Err(error) = alert_test::settle(&app.db, test, error.as_deref()).await {
        tracing::warn!(%error, "what became of a test message cannot be noted");
    }
}
