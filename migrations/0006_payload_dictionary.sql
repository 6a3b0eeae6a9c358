-- What the payloads of a project have in common, so that each can be stored without it. A payload names its
-- dictionary itself (zstd writes the id into the frame); dictionaries stay as long as payloads may need them.

create table payload_dictionary (
    project_id bigint not null references project on delete cascade,
    -- Made by zstd from the content.
    id bigint not null,
    created_at timestamptz not null default now(),
    content bytea not null,
    primary key (project_id, id)
);
create index payload_dictionary_created on payload_dictionary (project_id, created_at desc);
