-- What dashboards may rely on: views only, each with a semantic version in its comment.

create schema analytics;

create view analytics.events as
select
    project_id,
    event_id,
    issue_id,
    received_at,
    occurred_at,
    case level when 0 then 'debug' when 1 then 'info' when 2 then 'warning' when 3 then 'error' else 'fatal' end as level,
    environment,
    release,
    platform
from event;
comment on view analytics.events is '1.0.0: error events, one row each';

create view analytics.issues as
select
    project_id,
    id as issue_id,
    short_id,
    case status when 0 then 'unresolved' when 1 then 'resolved' else 'ignored' end as status,
    case level when 0 then 'debug' when 1 then 'info' when 2 then 'warning' when 3 then 'error' else 'fatal' end as level,
    title,
    culprit,
    first_seen,
    last_seen,
    event_count,
    user_count
from issue;
comment on view analytics.issues is '1.0.0: issues, one row each';

create view analytics.events_hourly as
select project_id, issue_id, hour, environment, event_count from issue_hourly;
comment on view analytics.events_hourly is '1.0.0: error events by issue, hour and environment';

-- The role is made with the bundled cluster; on an external server its owner makes it.
do $$
begin
    if exists (select from pg_roles where rolname = 'analytics_ro') then
        grant usage on schema analytics to analytics_ro;
        grant select on all tables in schema analytics to analytics_ro;
        alter default privileges in schema analytics grant select on tables to analytics_ro;
    end if;
end
$$;
