"""Sends an item of each kind. Knows only SENTRY_DSN; the argument is how spans travel: `static` or `stream`."""

import sys

import sentry_sdk
from sentry_sdk.envelope import Envelope, Item, PayloadRef

LIFECYCLE = sys.argv[1]


def before_send(event, hint):
    return None if event.get("message") == "nobody wants to know" else event


def restock():
    if LIFECYCLE == "stream":
        with sentry_sdk.traces.start_span("restock", attributes={"sentry.op": "task", "shelf": 4}):
            with sentry_sdk.traces.start_span("select price from article", attributes={"sentry.op": "db"}):
                sentry_sdk.logger.info("within {what}", what="a span")
        return
    with sentry_sdk.start_transaction(op="task", name="restock") as transaction:
        transaction.set_data("shelf", 4)
        with sentry_sdk.start_span(op="db", name="select price from article"):
            sentry_sdk.logger.info("within {what}", what="a span")


@sentry_sdk.monitor(
    monitor_slug="nightly-count",
    monitor_config={
        "schedule": {"type": "crontab", "value": "15 3 * * *"},
        "timezone": "Asia/Shanghai",
        "checkin_margin": 5,
        "max_runtime": 20,
    },
)
def count(fails):
    if fails:
        raise RuntimeError("the scales are broken")


def report(event_id):
    """What a user wrote on an event; there is no call of its own for it."""
    envelope = Envelope(headers={"event_id": event_id})
    payload = {"event_id": event_id, "name": "Ada", "email": "ada@example.org", "comments": "I only bought a plum."}
    envelope.add_item(Item(payload=PayloadRef(json=payload), type="user_report"))
    sentry_sdk.get_client().transport.capture_envelope(envelope)


sentry_sdk.init(
    release="shop@1.4.0",
    environment="staging",
    traces_sample_rate=1.0,
    enable_logs=True,
    before_send=before_send,
    trace_lifecycle=LIFECYCLE,
)
sentry_sdk.set_user({"id": "7", "email": "ada@example.org"})
sentry_sdk.start_session()
with sentry_sdk.new_scope() as scope:
    scope.set_tag("shelf", "4")
    scope.add_attachment(bytes=b"plum;3\n", filename="basket.csv", content_type="text/csv")
    try:
        {}["plum"]
    except KeyError as error:
        about = sentry_sdk.capture_exception(error)
sentry_sdk.end_session()
sentry_sdk.capture_message("the warehouse is nearly full", level="warning")
sentry_sdk.capture_message("nobody wants to know")
restock()
count(fails=False)
try:
    count(fails=True)
except RuntimeError:
    pass
sentry_sdk.logger.warning("only {left} pears left", left=2, attributes={"shelf": 4})
sentry_sdk.metrics.count("sold", 3)
report(about)
sentry_sdk.flush()
print(sentry_sdk.get_client().transport._compression_algo)
