-- What the tables say about error events, to be compared with one another and with what senders were told.
-- Each wrong_* is a number of rows that contradict the events themselves.
with hours as (
    select
        project_id,
        hour,
        coalesce(sum(quantity) filter (where outcome = 'accepted'), 0) as accepted,
        coalesce(sum(quantity) filter (where outcome = 'stored'), 0) as stored,
        coalesce(sum(quantity) filter (where outcome = 'filtered'), 0) as filtered,
        coalesce(sum(quantity) filter (where outcome = 'filtered' and reason = 'duplicate'), 0) as duplicates,
        coalesce(sum(quantity) filter (where outcome = 'rejected'), 0) as rejected
    from outcome_hourly
    where category = 'error'
    group by project_id, hour
),
event_hours as (
    select project_id, date_trunc('hour', received_at, 'UTC') as hour, count(*) as events from event group by 1, 2
),
issue_events as (
    select project_id, issue_id, count(*) as events from event group by 1, 2
),
issue_event_hours as (
    select project_id, issue_id, date_trunc('hour', received_at, 'UTC') as hour, coalesce(environment, '') as environment, count(*) as events
    from event
    group by 1, 2, 3, 4
)
select json_build_object(
    'events', (select count(*) from event),
    'accepted', (select coalesce(sum(accepted), 0)::bigint from hours),
    'stored', (select coalesce(sum(stored), 0)::bigint from hours),
    'filtered', (select coalesce(sum(filtered), 0)::bigint from hours),
    'duplicates', (select coalesce(sum(duplicates), 0)::bigint from hours),
    'rejected', (select coalesce(sum(rejected), 0)::bigint from hours),
    'rejected_items', (select count(*) from rejected_item where category = 'error'),
    'issue_events', (select coalesce(sum(event_count), 0)::bigint from issue),
    'issue_hourly_events', (select coalesce(sum(event_count), 0)::bigint from issue_hourly),
    'wrong_issues', (
        select count(*) from issue i left join issue_events e on e.project_id = i.project_id and e.issue_id = i.id
        where i.event_count <> coalesce(e.events, 0)
    ),
    'wrong_issue_hours', (
        select count(*) from issue_hourly h full join issue_event_hours e using (project_id, issue_id, hour, environment)
        where h.event_count is distinct from e.events
    ),
    'wrong_stored_hours', (
        select count(*) from hours h full join event_hours e using (project_id, hour)
        where coalesce(h.stored, 0) <> coalesce(e.events, 0)
    ),
    'unbalanced_hours', (select count(*) from hours where accepted <> stored + filtered + rejected)
)::text
