"""A Django application that is asked for three pages over HTTP. Knows only SENTRY_DSN."""

import logging
import threading
import urllib.error
import urllib.request
from wsgiref.simple_server import make_server

import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration

sentry_sdk.init(
    release="shop@1.4.0",
    environment="staging",
    traces_sample_rate=1.0,
    enable_logs=True,
    send_default_pii=True,
    integrations=[DjangoIntegration()],
)

from django.conf import settings  # noqa: E402

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    LOGGING_CONFIG=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for this program",
)

import django  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

django.setup()


def price(request, article):
    with connection.cursor() as cursor:
        cursor.execute("select 3 where 'pear' = %s", [article])
        row = cursor.fetchone()
    logging.getLogger("shop").warning("asked for %s", article)
    return HttpResponse(str(row[0]))


urlpatterns = [path("price/<str:article>/", price)]


def get(where):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{where}").status
    except urllib.error.HTTPError as error:
        return error.code


server = make_server("127.0.0.1", 0, get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
print([get(where) for where in ("/price/pear/", "/price/plum/?coupon=spring", "/nowhere/")])
server.shutdown()
sentry_sdk.flush()
