-- Test messages that somebody asked for, the latest of each recipient: the worker sends them, the page shows the result.

create table alert_test (
    recipient_id bigint primary key references alert_recipient on delete cascade,
    -- Who asked: a test by e-mail goes to them alone.
    user_id bigint not null references app_user on delete cascade,
    -- What the message speaks: 'en', 'zh-CN'.
    language text not null,
    requested_at timestamptz not null default now(),
    -- A worker is sending it, or has died over it.
    claimed_at timestamptz,
    settled_at timestamptz,
    -- Why it was not delivered.
    error text
);
create index alert_test_waiting on alert_test (requested_at) where settled_at is null;
