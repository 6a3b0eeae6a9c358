-- Events, in one partition per day of receipt. Partitions are made ahead by the worker and dropped
-- by retention; there is no default partition, so nothing can hide outside them.

create table event (
    project_id bigint not null,
    event_id uuid not null,
    -- The UTC date of received_at, stamped at the edge: the partition key, kept across re-delivery.
    received_on date not null,
    issue_id bigint not null,
    -- UUIDv7 stamped at the edge: names this one reception.
    ingest_id uuid not null,
    received_at timestamptz not null,
    occurred_at timestamptz not null,
    -- As in issue.
    kind smallint not null,
    level smallint not null,
    platform text not null,
    environment text,
    release text,
    -- zstd-compressed JSON of the normalised event.
    payload bytea not null,
    primary key (project_id, event_id, received_on)
) partition by range (received_on);

-- Compressed already.
alter table event alter column payload set storage external;

create index event_issue on event (project_id, issue_id, received_at, event_id);

-- Receptions of items that have no row of their own (sessions, client reports, ...), so that a
-- re-delivered one changes nothing. Kept for two days.
create table settled_ingest (
    received_on date not null,
    ingest_id uuid not null,
    primary key (received_on, ingest_id)
);
