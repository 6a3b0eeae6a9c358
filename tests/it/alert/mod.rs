//! Alerts: who is told, when, and how often.

mod command;
mod delivery;
mod faults;
mod outbox;
mod services;
mod settings;
mod storm;

use std::time::{Duration, Instant};

use glitchbox::config::Secret;
use glitchbox::store::alert::{self, NewAlert, NewRecipient, RecipientKind};
use glitchbox::store::member::{self, Role};
use glitchbox::store::notice::delivery::{self as notice_delivery, LogRow};
use glitchbox::store::user::{self, NewUser, UserChange};
use serde_json::{Value, json};

use crate::support::TestApp;

/// A member of the organization who reads this language.
async fn add_member(app: &TestApp, email: &str, language: &str) {
    let db = &app.app.db;
    let new = NewUser { email, name: "", password_hash: None, is_superuser: false };
    let id = user::insert(db, new).await.unwrap().id;
    let change = UserChange { language: Some(language), ..UserChange::default() };
    user::update(db, id, change).await.unwrap();
    member::upsert(db, app.organization.id, id, Role::Member).await.unwrap();
}

/// An alert of the project for these webhooks.
async fn add_alert(app: &TestApp, recipients: &[(RecipientKind, &str, Option<&str>)]) {
    let recipients = recipients.iter().map(|(kind, url, secret)| NewRecipient {
        kind: *kind,
        url: (*url).to_owned(),
        secret: secret.map(Secret::new),
    });
    let new = NewAlert {
        name: "Chat".to_owned(),
        is_enabled: true,
        timespan_minutes: None,
        quantity: None,
        recipients: recipients.collect(),
    };
    alert::insert(&app.app.db, app.project.id, &new).await.unwrap();
}

/// The log, once every delivery of it is as wanted.
async fn wait_for_log(app: &TestApp, wanted: impl Fn(&LogRow) -> bool) -> Vec<LogRow> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = notice_delivery::log(app.database.pool(), app.project.id, 100).await.unwrap();
        if !log.is_empty() && log.iter().all(&wanted) {
            return log;
        }
        assert!(Instant::now() < deadline, "{log:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An error with a stack; equal names are one issue.
fn error(name: &str) -> Value {
    let frame = |file: &str, line: u32, function: &str, in_app: bool, code: &str| json!({ "filename": file, "lineno": line, "function": function, "in_app": in_app, "context_line": code });
    json!({
        "platform": "python",
        "environment": "production",
        "release": "shop@1.2.3",
        "exception": { "values": [{
            "type": name,
            "value": "no such product <b>",
            "stacktrace": { "frames": [
                frame("shop/views.py", 12, "show", true, "    return find(product)"),
                frame("django/db.py", 99, "get", false, "raise"),
                frame("shop/find.py", 40, "find", true, "    raise NotFound(product)"),
            ] },
        }] },
    })
}
