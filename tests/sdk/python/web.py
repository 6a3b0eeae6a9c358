"""A Flask application that is asked for four pages over HTTP. Knows only SENTRY_DSN."""

import threading
import urllib.error
import urllib.request

import flask
import sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration
from werkzeug.serving import make_server

sentry_sdk.init(
    release="shop@1.4.0",
    environment="staging",
    traces_sample_rate=1.0,
    send_default_pii=True,
    integrations=[FlaskIntegration()],
)
app = flask.Flask(__name__)


@app.get("/price/<article>")
def price(article):
    return {"pear": "3"}[article]


@app.get("/stock/<article>")
def stock(article):
    try:
        return {"pear": "3"}[article]
    except KeyError as error:
        sentry_sdk.capture_exception(error)
        return "0"


def get(path):
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers={"User-Agent": "till/2.0"})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code


server = make_server("127.0.0.1", 0, app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print([get(path) for path in ("/price/pear", "/price/pear?n=2", "/stock/plum", "/price/plum?coupon=spring")])
server.shutdown()
sentry_sdk.flush()
