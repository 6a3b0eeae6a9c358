//! Sends the test messages that people ask for on the pages of alerts, as soon as the queue says that there is one.
//!
//! They are apart from the alerts themselves: no throttle holds them back, and none is tried again by itself, since
//! somebody looks at the result and can ask again.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::job::{Job, Retry};
use super::send_alerts::transport::{Parcel, Transport};
use crate::alert::test_message::test_message;
use crate::app::App;
use crate::queue::Queue;
use crate::store::alert::RecipientKind;
use crate::store::alert_test::{self, ClaimedTest};

/// Sends every test message that waits; there is at most one for each recipient.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendTests {}

impl Job for SendTests {
    const NAME: &'static str = "send_tests";
    const QUEUE: Queue = Queue::Notify;
    // Nobody waits for long.
    const RETRY: Retry = Retry { tries: 8, first: Duration::from_secs(2), longest: Duration::from_secs(15) };
    // Longer than the slowest recipient may take.
    const TIMEOUT: Duration = Duration::from_mins(3);

    async fn run(self, app: Arc<App>) -> anyhow::Result<()> {
        let mut sending = JoinSet::new();
        let mut transport = None;
        let looked = loop {
            match alert_test::claim(&app.db).await {
                Ok(Some(test)) => {
                    let transport = transport.get_or_insert_with(|| Arc::new(Transport::new(&app.config)));
                    let (app, transport) = (Arc::clone(&app), Arc::clone(transport));
                    sending.spawn(async move { send(&app, &transport, &test).await });
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        while sending.join_next().await.is_some() {}
        Ok(looked?)
    }
}

async fn send(app: &App, transport: &Transport, test: &ClaimedTest) {
    let content = test_message(test, app.config.public_base());
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
    let error = transport.send(&parcel).await.err().map(|unsent| unsent.why);
    if let Err(error) = alert_test::settle(&app.db, test, error.as_deref()).await {
        tracing::warn!(%error, "what became of a test message cannot be noted");
    }
}
