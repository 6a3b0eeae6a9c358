-- What became of everything that was accepted: its counts stand in outcome_hourly, where `outcome` is now one of
-- accepted, stored, filtered, rejected, rate_limited, discarded. For each project, hour and category
-- accepted = stored + filtered + rejected + what is still on its way. The last two stand beside it: what an answer of ours
-- held back, and what an SDK says it has dropped itself.

-- Accepted items that could not be stored, one row each: the proof that each is counted once, and the reason for who asks.
create table rejected_item (
    -- The edge's stamp.
    ingest_id uuid primary key,
    received_on date not null,
    project_id bigint not null references project on delete cascade,
    event_id uuid not null,
    received_at timestamptz not null,
    category text not null,
    -- The reason as it is counted.
    reason text not null,
    -- What was wrong, in words.
    detail text not null
);
create index rejected_item_project on rejected_item (project_id, received_at desc);
create index rejected_item_event on rejected_item (event_id);
create index rejected_item_day on rejected_item (received_on);

-- Canaries that have come through: items of our own that take the way of an event each minute.
create table canary_run (
    id uuid primary key,
    sent_at timestamptz not null,
    stored_at timestamptz not null
);
create index canary_run_sent on canary_run (sent_at desc);
