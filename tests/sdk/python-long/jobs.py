"""Tasks of Celery, one of them by the clock. Knows SENTRY_DSN and, by BROKER, its Redis.

Run as a program it asks for two tasks, of which one fails, and ends when the clock's has run.
"""

import os
import time

import celery
import redis
import sentry_sdk
from celery.schedules import crontab
from sentry_sdk.integrations.celery import CeleryIntegration

SOCKET = os.environ["BROKER"]

sentry_sdk.init(
    release="shop@1.4.0",
    environment="staging",
    traces_sample_rate=1.0,
    integrations=[CeleryIntegration(monitor_beat_tasks=True)],
)
app = celery.Celery("jobs", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
app.conf.timezone = "Asia/Shanghai"
app.conf.beat_schedule = {"count-stock": {"task": "jobs.count_stock", "schedule": crontab()}}


@app.task(name="jobs.ship")
def ship(weight):
    return 100 / weight


@app.task(name="jobs.count_stock")
def count_stock():
    redis.Redis(unix_socket_path=SOCKET).set("counted", 1)


if __name__ == "__main__":
    with sentry_sdk.start_transaction(op="task", name="order"):
        results = [ship.delay(4), ship.delay(0)]
    print([result.get(timeout=60, propagate=False) for result in results])
    counted = redis.Redis(unix_socket_path=SOCKET)
    while not counted.get("counted"):
        time.sleep(0.1)
    sentry_sdk.flush()
