//! What one issue takes over from others. All of them are locked.

use sqlx::PgConnection;

use crate::ids::{IssueId, ProjectId};
use crate::store::Result;

/// Hashes, counts and addresses of `children` become those of `parent`; their events are noted to follow.
pub(super) async fn absorb(
    db: &mut PgConnection,
    project: ProjectId,
    parent: IssueId,
    children: &[IssueId],
) -> Result<()> {
    for step in STEPS {
        sqlx::query(step).bind(project).bind(parent).bind(children).execute(&mut *db).await?;
    }
    Ok(())
}

/// `$1` the project, `$2` the parent, `$3` the children.
const STEPS: [&str; 10] = [
    "update issue_hash set issue_id = $2 where project_id = $1 and issue_id = any($3::bigint[])",
    // Of the events' own times the outermost; the newest describes the issue.
    "update issue p set
         event_count = p.event_count + c.events,
         first_release = case when c.first_seen < p.first_seen then coalesce(c.first_release, p.first_release)
             else coalesce(p.first_release, c.first_release) end,
         last_release = case when c.last_seen > p.last_seen then coalesce(c.last_release, p.last_release)
             else coalesce(p.last_release, c.last_release) end,
         first_seen = least(p.first_seen, c.first_seen), last_seen = greatest(p.last_seen, c.last_seen),
         kind = case when c.last_seen > p.last_seen then c.kind else p.kind end,
         level = case when c.last_seen > p.last_seen then c.level else p.level end,
         platform = case when c.last_seen > p.last_seen then c.platform else p.platform end,
         logger = case when c.last_seen > p.last_seen then c.logger else p.logger end,
         title = case when c.last_seen > p.last_seen then c.title else p.title end,
         culprit = case when c.last_seen > p.last_seen then c.culprit else p.culprit end,
         metadata = case when c.last_seen > p.last_seen then c.metadata else p.metadata end,
         is_unhandled = case when c.last_seen > p.last_seen then c.is_unhandled else p.is_unhandled end
     from (select sum(event_count)::bigint as events, min(first_seen) as first_seen, max(last_seen) as last_seen,
               (array_agg(first_release order by first_seen) filter (where first_release is not null))[1] as first_release,
               (array_agg(last_release order by last_seen desc) filter (where last_release is not null))[1]
                   as last_release,
               (array_agg(kind order by last_seen desc))[1] as kind,
               (array_agg(level order by last_seen desc))[1] as level,
               (array_agg(platform order by last_seen desc))[1] as platform,
               (array_agg(logger order by last_seen desc))[1] as logger,
               (array_agg(title order by last_seen desc))[1] as title,
               (array_agg(culprit order by last_seen desc))[1] as culprit,
               (array_agg(metadata order by last_seen desc))[1] as metadata,
               (array_agg(is_unhandled order by last_seen desc))[1] as is_unhandled
           from issue where project_id = $1 and id = any($3::bigint[])) c
     where p.project_id = $1 and p.id = $2",
    "with added as (
         insert into issue_user (project_id, issue_id, user_hash)
         select distinct project_id, $2::bigint, user_hash from issue_user
         where project_id = $1 and issue_id = any($3::bigint[])
         on conflict do nothing
         returning 1
     )
     update issue set user_count = user_count + (select count(*) from added) where project_id = $1 and id = $2",
    "insert into issue_tag (project_id, issue_id, key, value, times_seen, first_seen, last_seen)
     select project_id, $2::bigint, key, value, sum(times_seen)::bigint, min(first_seen), max(last_seen)
     from issue_tag where project_id = $1 and issue_id = any($3::bigint[])
     group by project_id, key, value
     on conflict (project_id, issue_id, key, value) do update set
         times_seen = issue_tag.times_seen + excluded.times_seen,
         first_seen = least(issue_tag.first_seen, excluded.first_seen),
         last_seen = greatest(issue_tag.last_seen, excluded.last_seen)",
    "insert into issue_hourly (project_id, issue_id, hour, environment, event_count)
     select project_id, $2::bigint, hour, environment, sum(event_count)::bigint
     from issue_hourly where project_id = $1 and issue_id = any($3::bigint[])
     group by project_id, hour, environment
     on conflict (project_id, issue_id, hour, environment)
         do update set event_count = issue_hourly.event_count + excluded.event_count",
    // The texts by which any of them was found.
    "insert into issue_text (project_id, issue_id, document)
     select project_id, $2::bigint, left(string_agg(document, E'\\n'), 16384) from (
         select distinct project_id, document from issue_text
         where project_id = $1 and (issue_id = $2 or issue_id = any($3::bigint[]))) d
     group by project_id
     on conflict (project_id, issue_id) do update set document = excluded.document",
    "update issue_redirect set issue_id = $2 where project_id = $1 and issue_id = any($3::bigint[])",
    "insert into issue_redirect (project_id, old_id, old_short_id, issue_id)
     select project_id, id, short_id, $2::bigint from issue where project_id = $1 and id = any($3::bigint[])",
    "with retargeted as (
         update event_move set to_issue_id = $2 where project_id = $1 and to_issue_id = any($3::bigint[])
     )
     insert into event_move (project_id, from_issue_id, to_issue_id)
     select $1::bigint, child, $2::bigint from unnest($3::bigint[]) as c (child)",
    // With their roll-ups and with what was to be told about them.
    "delete from issue where project_id = $1 and id = any($3::bigint[]) and id <> $2",
];
