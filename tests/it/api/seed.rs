//! What the tests read: stored events, and callers with tokens.

use chrono::{DateTime, TimeDelta, Utc};
use glitchbox::auth::api_token;
use glitchbox::ids::{EventId, OrganizationId, ProjectId, UserId};
use glitchbox::protocol::event::Event;
use glitchbox::store::event_batch::{NewEvent, write};
use glitchbox::store::member::{self, Role};
use glitchbox::store::user::{self, NewUser};
use glitchbox::store::{partition, payload, project};
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

/// Scopes enough for everything that these tests do, but for a permission test.
pub(crate) const ALL: &[&str] = &["org:read", "project:write", "event:write"];

/// An event that is `minutes` old, of the issue called `title`.
pub(crate) struct Seed {
    pub(crate) project: ProjectId,
    pub(crate) title: String,
    pub(crate) minutes: i64,
    pub(crate) level: &'static str,
    pub(crate) environment: Option<&'static str>,
    pub(crate) tags: Vec<(&'static str, &'static str)>,
    pub(crate) user: Option<&'static str>,
    pub(crate) id: EventId,
}

impl Seed {
    pub(crate) fn new(project: ProjectId, title: &str, minutes: i64) -> Self {
        Self {
            project,
            title: title.to_owned(),
            minutes,
            level: "error",
            environment: None,
            tags: Vec::new(),
            user: None,
            id: EventId::random(),
        }
    }

    pub(crate) fn id(self, id: u128) -> Self {
        Self { id: EventId(uuid::Uuid::from_u128(id)), ..self }
    }

    pub(crate) fn environment(self, name: &'static str) -> Self {
        Self { environment: Some(name), ..self }
    }

    pub(crate) fn level(self, level: &'static str) -> Self {
        Self { level, ..self }
    }

    pub(crate) fn tag(mut self, key: &'static str, value: &'static str) -> Self {
        self.tags.push((key, value));
        self
    }

    pub(crate) fn user(self, id: &'static str) -> Self {
        Self { user: Some(id), ..self }
    }

    fn received(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - TimeDelta::minutes(self.minutes)
    }

    /// A normalised event with every interface.
    fn event(&self, at: DateTime<Utc>) -> Event {
        let (kind, value) = self.title.split_once(": ").unwrap_or((&self.title, ""));
        let event = json!({
            "event_id": self.id,
            "type": "error",
            "level": self.level,
            "platform": "python",
            "timestamp": at,
            "received": at,
            "title": self.title,
            "culprit": "shop.checkout in pay",
            "metadata": { "type": kind, "value": value, "filename": "shop/checkout.py", "function": "pay" },
            "logger": "shop",
            "transaction": "/pay",
            "release": "shop@1.2.0",
            "dist": "7",
            "environment": self.environment,
            "logentry": { "message": "no %s", "formatted": "no money", "params": ["money"] },
            "exception": { "values": [{
                "type": kind, "value": value, "module": "builtins",
                "mechanism": { "type": "django", "handled": false },
                "stacktrace": { "frames": [
                    { "function": "get_response", "filename": "django/core.py", "lineno": 9, "in_app": false },
                    {
                        "function": "pay", "filename": "shop/checkout.py", "abs_path": "/srv/shop/checkout.py",
                        "module": "shop.checkout", "lineno": 42, "in_app": true,
                        "pre_context": ["def pay(basket):"], "context_line": "    raise ValueError(basket)",
                        "post_context": [""], "vars": { "basket": ["apple"] },
                    },
                ] },
            }] },
            "threads": { "values": [{ "id": 1, "name": "MainThread", "crashed": true }] },
            "breadcrumbs": { "values": [
                { "timestamp": at, "type": "query", "category": "db", "level": "info", "message": "select 1",
                  "data": { "rows": 1 } },
            ] },
            "request": {
                "url": "http://shop.example/pay", "method": "POST", "query_string": [["a", "1"]],
                "headers": [["Host", "shop.example"]], "cookies": [["lang", "en"]], "data": { "card": "[Filtered]" },
            },
            "user": self.user.map(|id| json!({ "id": id, "email": format!("{id}@shop.example") })),
            "contexts": { "runtime": { "type": "runtime", "name": "CPython", "version": "3.11.2" } },
            "tags": self.tags,
            "extra": { "basket": 3 },
            "modules": { "django": "5.2" },
            "sdk": { "name": "sentry.python.django", "version": "2.75.0" },
            "errors": [{ "type": "invalid_data", "name": "dist" }],
        });
        serde_json::from_value(event).unwrap()
    }

    fn new_event(&self, now: DateTime<Utc>) -> NewEvent {
        let at = self.received(now);
        let event = self.event(at);
        let mut hash = [0; 32];
        for (slot, byte) in hash.iter_mut().zip(self.title.bytes().rev()) {
            *slot = byte;
        }
        let environment = self.environment.map(|name| ("environment".to_owned(), name.to_owned()));
        let tags = self.tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        NewEvent {
            project_id: self.project,
            event_id: self.id,
            ingest_id: uuid::Uuid::now_v7(),
            received_at: at,
            received_on: at.date_naive(),
            occurred_at: at,
            kind: event.kind,
            level: event.level,
            platform: event.platform.clone(),
            environment: event.environment.clone(),
            release: event.release.clone(),
            hash,
            hash_version: 1,
            title: event.title.clone(),
            culprit: event.culprit.clone(),
            metadata: serde_json::to_value(&event.metadata).unwrap(),
            logger: event.logger.clone(),
            is_unhandled: true,
            tags: tags.chain(environment).collect(),
            user: event.user.as_ref().and_then(glitchbox::protocol::event::User::tag),
            payload: payload::compress(&serde_json::to_vec(&event).unwrap(), None).unwrap(),
        }
    }
}

/// Stores the events as the worker does, one batch for each, so that ids are given in this order.
pub(crate) async fn store(app: &TestApp, seeds: &[Seed]) {
    // Whole seconds: what was stored reads back as it was, and sorts as it was meant.
    let now = DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap();
    // A batch for a day without a partition is tried again, and issue numbers would be skipped.
    let days = seeds.iter().map(|seed| seed.received(now).date_naive()).collect::<std::collections::BTreeSet<_>>();
    partition::ensure_days(app.database.pool(), &days.into_iter().collect::<Vec<_>>()).await.unwrap();
    for seed in seeds {
        write(app.database.pool(), &[seed.new_event(now)]).await.unwrap();
    }
}

/// A new user; superusers need no membership.
pub(crate) async fn new_user(app: &TestApp, email: &str, is_superuser: bool) -> UserId {
    let new = NewUser { email, name: "", password_hash: None, is_superuser };
    user::insert(&app.app.db, new).await.unwrap().id
}

pub(crate) async fn join(app: &TestApp, organization: OrganizationId, user: UserId, role: Role) {
    member::upsert(&app.app.db, organization, user, role).await.unwrap();
}

/// A client with a token of this user.
pub(crate) async fn client_of(app: &TestApp, user: UserId, scopes: &[&str]) -> Client {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let (token, _) = api_token::create(&app.app.db, user, "test", &scopes).await.unwrap();
    app.client().with_token(token.expose())
}

/// A client with a token of a new member of the first organization.
pub(crate) async fn member(app: &TestApp) -> Client {
    let user = new_user(app, "member@example.org", false).await;
    join(app, app.organization.id, user, Role::Member).await;
    client_of(app, user, ALL).await
}

/// Another project of the first organization.
pub(crate) async fn new_project(app: &TestApp, organization: OrganizationId, slug: &str) -> ProjectId {
    let new = project::NewProject { organization_id: organization, slug, name: slug, platform: "python" };
    project::insert(&app.app.db, new).await.unwrap().id
}

/// The same JSON with what differs from run to run replaced: times, keys, the port, the counts by hour.
pub(crate) fn redacted(app: &TestApp, value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let text = text.replace(&app.address().port().to_string(), "[port]").replace(&app.key.public_key, "[key]");
            if DateTime::parse_from_rfc3339(&text).is_ok() { "[time]".into() } else { text.into() }
        }
        Value::Array(list) => {
            let point = |point: &Value| {
                Some((point.get(0)?.as_i64().filter(|at| *at > 1_000_000_000)?, point.get(1)?.as_i64()?))
            };
            if let Some(points) = list.iter().map(point).collect::<Option<Vec<_>>>().filter(|points| points.len() > 3) {
                let events: i64 = points.iter().map(|(_, events)| events).sum();
                return format!("[{} points, {events} events]", points.len()).into();
            }
            list.iter().map(|item| redacted(app, item)).collect()
        }
        Value::Object(fields) => fields.iter().map(|(name, item)| (name.clone(), redacted(app, item))).collect(),
        other => other.clone(),
    }
}

/// `field` of every object in the list.
pub(crate) fn fields(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}
