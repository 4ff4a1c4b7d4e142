"""A request as WSGI describes it (PEP 3333), for ``ws.environ``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from .head import Request

__all__ = ["environ_of", "path_below", "split_target"]

# What nearly all requests say, as one object for all connections.
_COMMON = {text: text for text in ("GET", "websocket", "Upgrade", "keep-alive, Upgrade", "13", "no-cache")}


def environ_of(request: Request, scheme: str, local: Any, peer: Any) -> dict[str, Any]:
    """Describe a request as WSGI does (PEP 3333), for ``ws.environ``.

    ``local`` and ``peer`` are socket addresses; a Unix socket's path or None is fine.
    """
    _, path, query = split_target(request.target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": _COMMON.get(request.method, request.method),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": query,
        "RAW_URI": request.target,
        "SERVER_PROTOCOL": request.version,
        "wsgi.url_scheme": scheme,
    }
    if isinstance(local, tuple):
        environ["SERVER_NAME"], environ["SERVER_PORT"] = str(local[0]), str(local[1])
    if isinstance(peer, tuple):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = str(peer[0]), str(peer[1])
    for name, value in request.headers.items():
        if "_" in name:
            continue  # it could pass for the header with "-", which a proxy has checked
        key = _key_of(name)
        joint = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else _COMMON.get(value, value)
    return environ


@lru_cache(256)
def _key_of(name: str) -> str:
    """Give the key of a header; connections share it, as they mostly have the same headers."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def split_target(target: str) -> tuple[str, str, str]:
    """Split a target into what is before its path, the path and the query; the whole URL is valid (RFC 9112 3.2.2)."""
    before, rest = "", target
    if not target.startswith("/"):
        rest = target.partition("://")[2]
        start = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
        rest = rest[start:]
        before = target[: len(target) - len(rest)]
    path, _, query = rest.partition("?")
    return before, path or "/", query


def path_below(sent: str, root: str, quoted: str) -> str:
    """Give the path below a mount as it was sent, where ``sent``, the whole path, still tells; else ``quoted``.

    The host has decoded the path, and somebody may have changed it since: ``quoted`` is what it means now.
    """
    below = "/" + sent.split("/", root.rstrip("/").count("/") + 1)[-1]
    return below if unquote(below) == unquote(quoted) else quoted
