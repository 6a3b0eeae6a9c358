//! Channels: claimed by one sender at a time, settled message by message.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::config::Secret;
use crate::ids::ProjectId;
use crate::store::Result;
use crate::store::alert::RecipientKind;

const SENT: i16 = 1;
const FAILED: i16 = 2;
const DROPPED: i16 = 3;

/// A destination of a project's messages.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Channel {
    /// Its number.
    pub id: i64,
    /// Whose messages.
    pub project_id: ProjectId,
    /// How they are sent.
    pub kind: RecipientKind,
    /// An address or a URL.
    pub destination: String,
    /// What was sent in the window that began last.
    #[sqlx(flatten)]
    pub window: Window,
    /// Tries that failed since the last success.
    pub failures: i32,
}

/// What was sent of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct Window {
    /// When the window began; none: nothing was ever sent.
    #[sqlx(rename = "window_started_at")]
    pub started_at: Option<DateTime<Utc>>,
    /// Messages of one issue each.
    pub singles: i32,
    /// Messages of several issues.
    pub digests: i32,
}

/// Which channels to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    /// Mail, or everything else.
    pub is_mail: bool,
    /// Those whose last try failed, or the others.
    pub is_failing: bool,
}

/// What a channel's messages need to know.
#[derive(Debug, Clone)]
pub struct Addressee {
    /// The organization's slug.
    pub organization: String,
    /// The project's slug.
    pub project: String,
    /// The project's name.
    pub project_name: String,
    /// A user's language, or empty.
    pub language: String,
    /// What to sign with.
    pub secret: Option<Secret>,
}

/// What is waiting in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct Waiting {
    /// How many deliveries.
    pub count: i64,
    /// Since when the oldest.
    pub since: Option<DateTime<Utc>>,
}

/// Claims up to `limit` due channels of a group until `until`; those due longest first. What was put off for longer
/// than anybody does (an hour; a lease: two minutes) was so by a clock that was ahead, and is due.
pub async fn claim(
    pool: &PgPool,
    group: Group,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Channel>> {
    let rows = sqlx::query_as(
        "update notice_channel c set leased_until = $2
         from (select k.id from notice_channel k
               where (k.due_at <= $1 or k.due_at > $1 + interval '1 hour')
                   and (k.leased_until is null or k.leased_until <= $1 or k.leased_until > $1 + interval '2 minutes')
                   and (k.kind = 'email') = $3 and (k.failures > 0) = $4
               order by k.due_at limit $5 for update of k skip locked) n
         where c.id = n.id
         returning c.id, c.project_id, c.kind, c.destination, c.window_started_at, c.singles, c.digests, c.failures",
    )
    .bind(now)
    .bind(until)
    .bind(group.is_mail)
    .bind(group.is_failing)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Whom the channel reaches; none when nobody wants it any more: the recipient was removed, the member left.
pub async fn addressee(pool: &PgPool, channel: &Channel) -> Result<Option<Addressee>> {
    let row: Option<(String, String, String, String, Option<String>)> = sqlx::query_as(
        "select o.slug, p.slug, p.name, coalesce(u.language, ''), r.secret
         from project p
         join organization o on o.id = p.organization_id
         join lateral (
             select r.secret from alert a join alert_recipient r on r.alert_id = a.id
             where a.project_id = p.id and a.is_enabled and r.kind = $2 and (r.kind = 'email' or r.url = $3)
             order by r.secret is null, r.id limit 1
         ) r on true
         left join (app_user u join member m on m.user_id = u.id)
             on $2 = 'email' and u.email = $3 and u.is_active and m.organization_id = p.organization_id
         where p.id = $1 and ($2 <> 'email' or u.id is not null)
         limit 1",
    )
    .bind(channel.project_id)
    .bind(channel.kind.as_str())
    .bind(&channel.destination)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(organization, project, project_name, language, secret)| Addressee {
        organization,
        project,
        project_name,
        language,
        secret: secret.map(Secret::new),
    }))
}

/// Counts what waits, after dropping what is about issues that are ignored by now, and what no alert tells this
/// destination any more.
pub async fn waiting(pool: &PgPool, channel: i64, now: DateTime<Utc>) -> Result<Waiting> {
    let row = sqlx::query_as(
        "with unwanted as (
             select d.id, i.status = 2 as is_ignored
             from notice_delivery d
             join notice_channel c on c.id = d.channel_id
             join issue i on i.project_id = d.project_id and i.id = d.issue_id
             where d.channel_id = $1 and d.state = 0 and (i.status = 2 or not exists (
                 select from notice n
                 join alert a on a.id = n.alert_id and a.is_enabled
                 join alert_recipient r on r.alert_id = a.id
                 where n.project_id = d.project_id and n.issue_id = d.issue_id and n.reason = d.reason
                     and n.regression = d.regression and (d.alert_id = 0 or n.alert_id = d.alert_id)
                     and r.kind = c.kind and (r.kind = 'email' or r.url = c.destination)))
         ),
         dropped as (
             update notice_delivery d set state = $3, settled_at = $2,
                 error = case when u.is_ignored then 'the issue is ignored' else 'the recipient was removed' end
             from unwanted u where d.id = u.id
             returning d.id
         )
         select count(*) as count, min(created_at) as since from notice_delivery
         where channel_id = $1 and state = 0 and id not in (select id from dropped)",
    )
    .bind(channel)
    .bind(now)
    .bind(DROPPED)
    .fetch_one(pool)
    .await?;
    Ok(row)
}

/// Settles deliveries that went out in one message, and keeps the channel until `until`.
pub async fn sent(
    pool: &PgPool,
    channel: i64,
    deliveries: &[i64],
    is_digest: bool,
    window: Window,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "update notice_delivery set state = $2, is_digest = $3, settled_at = $4, tries = tries + 1, error = null
         where id = any($1)",
    )
    .bind(deliveries)
    .bind(SENT)
    .bind(is_digest)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "update notice_channel set window_started_at = $2, singles = $3, digests = $4, failures = 0, leased_until = $5
         where id = $1",
    )
    .bind(channel)
    .bind(window.started_at)
    .bind(window.singles)
    .bind(window.digests)
    .bind(until)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Notes a try that failed: the channel rests until `retry_at`, and what was first tried before `give_up_before` is
/// given up. Says how many deliveries that was.
pub async fn failed(
    pool: &PgPool,
    channel: i64,
    deliveries: &[i64],
    error: &str,
    now: DateTime<Utc>,
    retry_at: DateTime<Utc>,
    give_up_before: DateTime<Utc>,
) -> Result<u64> {
    let mut transaction = pool.begin().await?;
    // What waits behind the one that was tried has been held up by the same failure.
    sqlx::query(
        "update notice_delivery set first_tried_at = coalesce(first_tried_at, $3),
             tries = tries + case when id = any($2) then 1 else 0 end, error = $4
         where channel_id = $1 and state = 0",
    )
    .bind(channel)
    .bind(deliveries)
    .bind(now)
    .bind(error)
    .execute(&mut *transaction)
    .await?;
    let given_up = sqlx::query(
        "update notice_delivery set state = $2, settled_at = $3
         where channel_id = $1 and state = 0 and first_tried_at < $4",
    )
    .bind(channel)
    .bind(FAILED)
    .bind(now)
    .bind(give_up_before)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    sqlx::query("update notice_channel set failures = failures + 1 where id = $1")
        .bind(channel)
        .execute(&mut *transaction)
        .await?;
    finish(&mut transaction, channel, retry_at).await?;
    transaction.commit().await?;
    Ok(given_up)
}

/// A try of one message that its destination did not take for what it is.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// Why.
    pub error: &'a str,
    /// When.
    pub now: DateTime<Utc>,
    /// When to try again, when nothing else waits.
    pub retry_at: DateTime<Utc>,
    /// What was first tried before is given up.
    pub give_up_before: DateTime<Utc>,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Refused {
    /// It was tried for too long.
    pub is_given_up: bool,
    /// How often it was tried.
    pub tries: i32,
    /// Others wait that come before it, and the channel is kept.
    pub has_others: bool,
}

/// Notes that one message was refused for what it is: it comes after those that were tried less. The channel itself is
/// well, and kept until `until` while such wait; else it is given back.
pub async fn refused(
    pool: &PgPool,
    channel: i64,
    delivery: i64,
    refusal: Refusal<'_>,
    until: DateTime<Utc>,
) -> Result<Refused> {
    let Refusal { error, now, retry_at, give_up_before } = refusal;
    let mut transaction = pool.begin().await?;
    let refused: Refused = sqlx::query_as(
        "with tried as (
             update notice_delivery set first_tried_at = coalesce(first_tried_at, $3), tries = tries + 1, error = $4,
                 state = case when first_tried_at < $5 then $6 else state end,
                 settled_at = case when first_tried_at < $5 then $3 else settled_at end
             where id = $2
             returning first_tried_at < $5 as is_given_up, tries
         )
         select is_given_up, tries, exists (select from notice_delivery d where d.channel_id = $1 and d.state = 0
             and d.id <> $2 and d.tries < tried.tries) as has_others
         from tried",
    )
    .bind(channel)
    .bind(delivery)
    .bind(now)
    .bind(error)
    .bind(give_up_before)
    .bind(FAILED)
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query("update notice_channel set failures = 0, leased_until = $2 where id = $1")
        .bind(channel)
        .bind(until)
        .execute(&mut *transaction)
        .await?;
    if !refused.has_others {
        finish(&mut transaction, channel, retry_at).await?;
    }
    transaction.commit().await?;
    Ok(refused)
}

/// Drops everything that waits in a channel that nobody wants any more, and gives it back.
pub async fn abandon(pool: &PgPool, channel: i64, why: &str, now: DateTime<Utc>) -> Result<u64> {
    let mut transaction = pool.begin().await?;
    let dropped = sqlx::query(
        "update notice_delivery set state = $2, settled_at = $3, error = $4 where channel_id = $1 and state = 0",
    )
    .bind(channel)
    .bind(DROPPED)
    .bind(now)
    .bind(why)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    finish(&mut transaction, channel, now).await?;
    transaction.commit().await?;
    Ok(dropped)
}

/// Gives a channel back; it is due at `due_at` if anything waits in it.
pub async fn release(pool: &PgPool, channel: i64, due_at: DateTime<Utc>) -> Result<()> {
    let mut transaction = pool.begin().await?;
    finish(&mut transaction, channel, due_at).await?;
    transaction.commit().await?;
    Ok(())
}

async fn finish(db: &mut PgConnection, channel: i64, due_at: DateTime<Utc>) -> Result<()> {
    // The lock first: a statement sees only what was there when it began.
    sqlx::query("select from notice_channel where id = $1 for update").bind(channel).execute(&mut *db).await?;
    sqlx::query(
        "update notice_channel set leased_until = null,
             due_at = case when exists (select from notice_delivery where channel_id = $1 and state = 0) then $2 end
         where id = $1",
    )
    .bind(channel)
    .bind(due_at)
    .execute(db)
    .await?;
    Ok(())
}
