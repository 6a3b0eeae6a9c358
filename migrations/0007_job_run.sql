-- When each of the jobs that are run by one worker for all was last run: workers come and go (each night, for
-- one), and what is due once a day is due once a day all the same.

create table job_run (
    name text primary key,
    -- When the last run that succeeded began; null: none has.
    succeeded_at timestamptz,
    -- Runs that have failed since.
    failures integer not null default 0,
    -- After a failure: not before this.
    retry_at timestamptz,
    -- What the last of these runs ended with.
    error text
);
