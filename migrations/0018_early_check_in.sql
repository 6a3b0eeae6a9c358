-- The end of a run that was received before its beginning, which alone brings the monitor's configuration: an SDK sends
-- both at once over two connections. Waits for the monitor to be made, at most two days.
create table early_check_in (
    project_id bigint not null references project on delete cascade,
    slug text not null,
    -- The reception.
    ingest_id uuid not null,
    received_at timestamptz not null,
    environment text not null,
    -- As in check_in.
    check_in_id uuid not null,
    status smallint not null,
    duration_ms bigint,
    release text,
    trace_id uuid,
    primary key (project_id, slug, ingest_id)
);
create index early_check_in_age on early_check_in (received_at);
