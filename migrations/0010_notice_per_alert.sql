-- Each alert that wants a number of events tells of an issue for itself: two of them with one destination are two
-- messages. What is new or back again stays one message, however many alerts tell it: 0.
alter table notice_delivery add column alert_id bigint not null default 0;
alter table notice_delivery drop constraint notice_delivery_channel_id_issue_id_reason_regression_key;
alter table notice_delivery
    add constraint notice_delivery_once unique (channel_id, issue_id, reason, regression, alert_id);
