"""Reports an error, a message, and dies of a third. Knows only SENTRY_DSN."""

import sentry_sdk


def load_price(catalogue, article):
    try:
        return catalogue[article]
    except KeyError as error:
        raise ValueError(f"no price for {article}") from error


def check_out(basket):
    catalogue = {"pear": 3}
    return sum(load_price(catalogue, article) for article in basket)


def ship(order):
    weight = order["weight"]
    return 100 / weight


sentry_sdk.init()
sentry_sdk.set_user({"id": "7", "email": "ada@example.org"})
sentry_sdk.add_breadcrumb(category="shop", message="python put a plum into the basket", level="info")
try:
    check_out(["pear", "plum"])
except ValueError:
    sentry_sdk.capture_exception()

sentry_sdk.capture_message("python warehouse is nearly full", level="warning")

ship({"weight": 0})
