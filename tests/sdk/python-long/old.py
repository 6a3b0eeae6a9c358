"""Reports an error, a message, and one through logging, with the SDK before sentry-sdk. Knows only SENTRY_DSN."""

import logging

from raven import Client
from raven.handlers.logging import SentryHandler

client = Client(release="shop@1.4.0", environment="staging", tags={"shelf": "4"}, install_sys_hook=False)
logging.getLogger("shop").addHandler(SentryHandler(client, level=logging.ERROR))
client.user_context({"id": "7", "email": "ada@example.org"})
try:
    {}["plum"]
except KeyError:
    client.captureException()
client.captureMessage("the warehouse is nearly full", level=logging.WARNING)
logging.getLogger("shop.stock").error("only %s pears left", 2)
