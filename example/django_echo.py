"""A WebSocket before a Django site, which knows none by itself: ``python example/django_echo.py [PORT]``.

In a project the last lines of ``asgi.py`` become those of `app` here; views and models are Django's as ever.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket


def page(request: HttpRequest) -> HttpResponse:
    """Be an ordinary view."""
    return HttpResponse("There is a WebSocket at /echo\n", content_type="text/plain")


urlpatterns = [path("", page)]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="not in a real project", ALLOWED_HOSTS=["127.0.0.1", "localhost"])

app = WebSocketApplication({"/echo": EchoWebSocket}, http=get_asgi_application())


def main() -> None:
    """Serve until Ctrl-C."""
    sock = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000))
    print(f"listening on ws://127.0.0.1:{sock.getsockname()[1]}/", flush=True)
    # Django's handler has no lifespan.
    config = uvicorn.Config(app, lifespan="off", log_level="warning")
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
