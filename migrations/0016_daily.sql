-- Spans (those of transactions among them), log records and files, in one partition per day of receipt, as events are: made ahead by
-- the worker, dropped by retention, no default partition.

create table span (
    project_id bigint not null,
    received_on date not null,
    trace_id uuid not null,
    -- Eight bytes, read as a number.
    span_id bigint not null,
    parent_span_id bigint,
    -- The span of the whole request or page it belongs to.
    segment_id bigint,
    -- That span itself: a transaction.
    is_segment boolean not null,
    name text not null,
    op text not null,
    -- OpenTelemetry's name.
    status text not null,
    started_at timestamptz not null,
    duration_ms double precision not null,
    release text,
    environment text,
    -- The transaction event it came in.
    event_id uuid,
    -- What else is known, by OpenTelemetry's names.
    attributes jsonb not null,
    primary key (project_id, received_on, trace_id, span_id)
) partition by range (received_on);

create index span_segment on span (project_id, started_at desc) where is_segment;

create table log_record (
    project_id bigint not null,
    received_on date not null,
    -- The reception, and the place in it.
    ingest_id uuid not null,
    position integer not null,
    logged_at timestamptz not null,
    -- As OpenTelemetry counts it: 1 (trace) to 24 (fatal).
    severity smallint not null,
    body text not null,
    trace_id uuid,
    span_id bigint,
    release text,
    environment text,
    attributes jsonb not null,
    primary key (project_id, received_on, ingest_id, position)
) partition by range (received_on);

create index log_record_time on log_record (project_id, logged_at desc);
create index log_record_trace on log_record (project_id, trace_id) where trace_id is not null;

-- Files that go with events; an event may come later than its files, or never.
create table attachment (
    project_id bigint not null,
    received_on date not null,
    -- The reception.
    ingest_id uuid not null,
    event_id uuid not null,
    received_at timestamptz not null,
    name text not null,
    content_type text not null,
    -- event.attachment, event.view_hierarchy, event.minidump, ...
    kind text not null,
    size integer not null,
    content bytea not null,
    primary key (project_id, received_on, ingest_id)
) partition by range (received_on);

create index attachment_event on attachment (project_id, event_id);
