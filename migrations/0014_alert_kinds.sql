-- More services that a recipient may be of.

alter table alert_recipient
    drop constraint alert_recipient_kind_check,
    -- email: every active member of the project's organization; webhook: what Slack understands
    add constraint alert_recipient_kind_check check (kind in (
        'email', 'webhook', 'feishu', 'dingtalk', 'wecom', 'discord', 'teams', 'telegram', 'ntfy', 'generic'
    ));
comment on column alert_recipient.secret is 'What messages are signed with, where the service signs; the access token of ntfy.';
