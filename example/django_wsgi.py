"""A WebSocket before a Django site under gunicorn: ``gunicorn --threads 4 --chdir example django_wsgi:application``.

In a project the last line goes into ``wsgi.py``; views and models are Django's as ever.
"""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket


def page(request: HttpRequest) -> HttpResponse:
    """Be an ordinary view."""
    return HttpResponse("There is a WebSocket at /echo\n", content_type="text/plain")


urlpatterns = [path("", page)]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="not in a real project", ALLOWED_HOSTS=["127.0.0.1", "localhost"])

application = WebSocketApplication({"/echo": EchoWebSocket}, app=get_wsgi_application())
