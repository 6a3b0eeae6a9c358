-- What a project wants of what is sent to it. Without a row, everything is taken in, and secrets are taken out.

-- Numbers of versions, each of which is there once.
create sequence project_rules_version;

create table project_rules (
    project_id bigint primary key references project on delete cascade,
    -- Another one with every change: by it, workers see what is new.
    version bigint not null default nextval('project_rules_version'),
    -- localhost, browser_extensions, web_crawlers, health_checks: on or off; legacy_browsers, error_messages, releases,
    -- client_ips: lists. What is missing is off.
    filters jsonb not null default '{}',
    -- scrub_data, scrub_defaults, scrub_exception_values, scrub_ip_addresses: on or off; sensitive_fields, safe_fields:
    -- lists. What is missing is as shipped.
    privacy jsonb not null default '{}',
    updated_at timestamptz not null default now()
);

-- Accepted events and transactions that a filter held back, for as long as receptions are noted: what goes with them is held
-- back, too, whenever it comes.
create table filtered_item (
    -- The edge's stamp.
    ingest_id uuid primary key,
    received_on date not null,
    project_id bigint not null references project on delete cascade,
    event_id uuid not null,
    -- The same for all items of an envelope.
    received_at timestamptz not null,
    category text not null,
    -- The filter.
    reason text not null
);
create index filtered_item_event on filtered_item (event_id);
create index filtered_item_day on filtered_item (received_on);
