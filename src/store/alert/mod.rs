//! Tables `alert` and `alert_recipient`: who is told of which issues of a project.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use glitchbox_notify::Kind;
use sqlx::{PgConnection, PgPool};

use super::Result;
use crate::config::Secret;
use crate::ids::{AlertId, AlertRecipientId, ProjectId};

/// The name of the alert every project begins with; it tells the organization's members by e-mail.
pub const FIRST_NAME: &str = "New issues";

/// Most alerts that [`list`] returns; who lets people make alerts refuses more.
pub const MAX_ALERTS: usize = 100;

/// Most recipients of one alert; who lets people make alerts refuses more.
pub const MAX_RECIPIENTS: usize = 20;

/// Longest address of a webhook, in characters. The table refuses more.
pub const MAX_URL: usize = 2000;

/// Who is told of which issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its number.
    pub id: AlertId,
    /// Whose issues.
    pub project_id: ProjectId,
    /// Its name for people.
    pub name: String,
    /// False: tells nobody.
    pub is_enabled: bool,
    /// None: tells of issues that are new or back again. Else, together with `quantity`: of issues that had so many
    /// events within so many minutes.
    pub timespan_minutes: Option<i32>,
    /// There exactly when `timespan_minutes` is.
    pub quantity: Option<i32>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whom it tells, by number.
    pub recipients: Vec<Recipient>,
}

/// Whom an alert tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its number.
    pub id: AlertRecipientId,
    /// In which way.
    pub kind: RecipientKind,
    /// Where to; empty for e-mail.
    pub url: String,
    /// What messages are signed with, where the service signs; the access token of ntfy.
    pub secret: Option<Secret>,
}

/// The way a recipient is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum RecipientKind {
    /// A mail to every active member of the project's organization.
    Email,
    /// What Slack, Mattermost, Rocket.Chat and many others understand.
    Webhook,
    /// A card for a bot of Feishu or Lark.
    Feishu,
    /// Markdown for a bot of DingTalk.
    DingTalk,
    /// Markdown for a bot of WeCom.
    WeCom,
    /// An embed for a channel of Discord.
    Discord,
    /// A card for a workflow of Microsoft Teams.
    Teams,
    /// A message of a bot of Telegram.
    Telegram,
    /// A notification of a topic of ntfy.
    Ntfy,
    /// Plain JSON for programs of people's own.
    Generic,
}

impl RecipientKind {
    /// Every kind, in the order to show them.
    pub const ALL: [Self; 10] = [
        Self::Email,
        Self::Webhook,
        Self::Feishu,
        Self::DingTalk,
        Self::WeCom,
        Self::Discord,
        Self::Teams,
        Self::Telegram,
        Self::Ntfy,
        Self::Generic,
    ];

    /// Its name, as stored and as the API knows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Feishu => "feishu",
            Self::DingTalk => "dingtalk",
            Self::WeCom => "wecom",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Telegram => "telegram",
            Self::Ntfy => "ntfy",
            Self::Generic => "generic",
        }
    }

    /// The form of its requests; none for mail. Lark is Feishu at another address.
    pub const fn service(self) -> Option<Kind> {
        match self {
            Self::Email => None,
            Self::Webhook => Some(Kind::Slack),
            Self::Feishu => Some(Kind::Feishu),
            Self::DingTalk => Some(Kind::DingTalk),
            Self::WeCom => Some(Kind::WeCom),
            Self::Discord => Some(Kind::Discord),
            Self::Teams => Some(Kind::Teams),
            Self::Telegram => Some(Kind::Telegram),
            Self::Ntfy => Some(Kind::Ntfy),
            Self::Generic => Some(Kind::Generic),
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The fields of a new or changed alert.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// Its name for people.
    pub name: String,
    /// Whether it tells anybody.
    pub is_enabled: bool,
    /// As in [`Alert`]; positive.
    pub timespan_minutes: Option<i32>,
    /// As in [`Alert`]; positive.
    pub quantity: Option<i32>,
    /// Whom it tells; a second one of the same kind and address is left out.
    pub recipients: Vec<NewRecipient>,
}

/// The fields of a new or kept recipient.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// In which way.
    pub kind: RecipientKind,
    /// Where to (at most [`MAX_URL`] characters); empty for e-mail.
    pub url: String,
    /// None: as it is (for a new recipient: none). An empty one takes the secret away. The project's other recipients
    /// of this kind and address get the same: what arrives there is signed in one way.
    pub secret: Option<Secret>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: AlertId,
    project_id: ProjectId,
    name: String,
    is_enabled: bool,
    timespan_minutes: Option<i32>,
    quantity: Option<i32>,
    created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct RecipientRow {
    id: AlertRecipientId,
    alert_id: AlertId,
    kind: RecipientKind,
    url: String,
    secret: Option<String>,
}

/// A project's alerts by number, at most [`MAX_ALERTS`].
pub async fn list(pool: &PgPool, project: ProjectId) -> Result<Vec<Alert>> {
    let mut db = pool.acquire().await?;
    let rows: Vec<Row> = sqlx::query_as(
        "select id, project_id, name, is_enabled, timespan_minutes, quantity, created_at
         from alert where project_id = $1 order by id limit $2",
    )
    .bind(project)
    .bind(i64::try_from(MAX_ALERTS).unwrap_or(i64::MAX))
    .fetch_all(&mut *db)
    .await?;
    with_recipients(&mut db, rows).await
}

/// One of the project's alerts.
pub async fn find(pool: &PgPool, project: ProjectId, id: AlertId) -> Result<Option<Alert>> {
    let mut db = pool.acquire().await?;
    read(&mut db, project, id).await
}

/// Makes an alert.
pub async fn insert(pool: &PgPool, project: ProjectId, new: &NewAlert) -> Result<Alert> {
    let mut transaction = pool.begin().await?;
    let row: Row = sqlx::query_as(
        "insert into alert (project_id, name, is_enabled, timespan_minutes, quantity) values ($1, $2, $3, $4, $5)
         returning id, project_id, name, is_enabled, timespan_minutes, quantity, created_at",
    )
    .bind(project)
    .bind(&new.name)
    .bind(new.is_enabled)
    .bind(new.timespan_minutes)
    .bind(new.quantity)
    .fetch_one(&mut *transaction)
    .await?;
    write_recipients(&mut transaction, row.id, &new.recipients).await?;
    let alert = with_recipients(&mut transaction, vec![row]).await?.pop();
    transaction.commit().await?;
    alert.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// Gives one of the project's alerts these fields and recipients; none when there is no such alert. A recipient that
/// stays (same kind and address) keeps its number.
pub async fn update(pool: &PgPool, project: ProjectId, id: AlertId, new: &NewAlert) -> Result<Option<Alert>> {
    let mut transaction = pool.begin().await?;
    let done = sqlx::query(
        "update alert set name = $3, is_enabled = $4, timespan_minutes = $5, quantity = $6
         where project_id = $1 and id = $2",
    )
    .bind(project)
    .bind(id)
    .bind(&new.name)
    .bind(new.is_enabled)
    .bind(new.timespan_minutes)
    .bind(new.quantity)
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    write_recipients(&mut transaction, id, &new.recipients).await?;
    let alert = read(&mut transaction, project, id).await?;
    transaction.commit().await?;
    Ok(alert)
}

/// Removes one of the project's alerts and what only it has yet to tell; false when there is no such alert.
pub async fn delete(pool: &PgPool, project: ProjectId, id: AlertId) -> Result<bool> {
    let done =
        sqlx::query("delete from alert where project_id = $1 and id = $2").bind(project).bind(id).execute(pool).await?;
    Ok(done.rows_affected() > 0)
}

async fn read(db: &mut PgConnection, project: ProjectId, id: AlertId) -> Result<Option<Alert>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, project_id, name, is_enabled, timespan_minutes, quantity, created_at
         from alert where project_id = $1 and id = $2",
    )
    .bind(project)
    .bind(id)
    .fetch_all(&mut *db)
    .await?;
    Ok(with_recipients(db, rows).await?.pop())
}

async fn with_recipients(db: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<Alert>> {
    let ids: Vec<AlertId> = rows.iter().map(|row| row.id).collect();
    let recipients: Vec<RecipientRow> = sqlx::query_as(
        "select id, alert_id, kind, url, secret from alert_recipient where alert_id = any($1) order by id",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
    let mut of_alert: HashMap<AlertId, Vec<Recipient>> = HashMap::new();
    for RecipientRow { id, alert_id, kind, url, secret } in recipients {
        let secret = secret.map(Secret::new);
        of_alert.entry(alert_id).or_default().push(Recipient { id, kind, url, secret });
    }
    let alerts = rows.into_iter().map(|row| Alert {
        recipients: of_alert.remove(&row.id).unwrap_or_default(),
        id: row.id,
        project_id: row.project_id,
        name: row.name,
        is_enabled: row.is_enabled,
        timespan_minutes: row.timespan_minutes,
        quantity: row.quantity,
        created_at: row.created_at,
    });
    Ok(alerts.collect())
}

/// Makes these the alert's recipients. The caller holds the alert's row, so nobody else is at it.
async fn write_recipients(db: &mut PgConnection, alert: AlertId, recipients: &[NewRecipient]) -> Result<()> {
    let mut kinds = Vec::new();
    let mut urls = Vec::new();
    let mut secrets = Vec::new();
    for NewRecipient { kind, url, secret } in recipients {
        if kinds.iter().zip(&urls).any(|(known, address)| *known == kind.as_str() && *address == url.as_str()) {
            continue;
        }
        kinds.push(kind.as_str());
        urls.push(url.as_str());
        secrets.push(secret.as_ref().map(Secret::expose));
    }
    sqlx::query(
        "delete from alert_recipient r where r.alert_id = $1 and not exists
             (select from unnest($2::text[], $3::text[]) as n (kind, url) where n.kind = r.kind and n.url = r.url)",
    )
    .bind(alert)
    .bind(&kinds)
    .bind(&urls)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "insert into alert_recipient as r (alert_id, kind, url, secret)
         select $1, n.kind, n.url, n.secret
         from unnest($2::text[], $3::text[], $4::text[]) with ordinality as n (kind, url, secret, place)
         order by n.place
         on conflict (alert_id, kind, url) do update set secret = coalesce(excluded.secret, r.secret)",
    )
    .bind(alert)
    .bind(&kinds)
    .bind(&urls)
    .bind(&secrets)
    .execute(&mut *db)
    .await?;
    // An address is one destination, whichever alert tells it something.
    sqlx::query(
        "update alert_recipient r set secret = n.secret
         from unnest($2::text[], $3::text[], $4::text[]) as n (kind, url, secret), alert own, alert other
         where own.id = $1 and other.project_id = own.project_id and r.alert_id = other.id
             and r.kind = n.kind and r.url = n.url and n.secret is not null and r.secret is distinct from n.secret",
    )
    .bind(alert)
    .bind(&kinds)
    .bind(&urls)
    .bind(&secrets)
    .execute(&mut *db)
    .await?;
    // An empty secret says that there is none.
    sqlx::query(
        "update alert_recipient r set secret = null
         from alert own join alert other on other.project_id = own.project_id
         where own.id = $1 and r.alert_id = other.id and r.secret = ''",
    )
    .bind(alert)
    .execute(db)
    .await?;
    Ok(())
}
