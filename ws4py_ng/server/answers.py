"""What the servers answer by plain HTTP: what an application has returned, and what it has raised.

They know connections, this does not. A refusal of their own they make by `refuse`.
"""

from __future__ import annotations

import logging

from ..codes import DRAIN_REASON
from ..exc import HandshakeError
from ..handshake import Headers, Request, Response, refuse

__all__ = ["STRANGERS", "checked", "draining", "failure", "full", "plain", "unavailable"]

logger = logging.getLogger("ws4py_ng")

# How many more than ``max_connections`` are read for their request, which may be for a health check.
STRANGERS = 64


def unavailable(reason: str) -> HandshakeError:
    """Make the refusal of a server that cannot serve anybody for now."""
    return HandshakeError(reason, 503, [("Retry-After", "1")])


def full(most: int) -> HandshakeError:
    """Make the refusal of a server that has ``most`` connections."""
    return unavailable(f"There are {most} connections already")


def draining() -> HandshakeError:
    """Make the refusal of a server that ends."""
    return unavailable(DRAIN_REASON)


def checked(answer: object) -> Response:
    """Give what a ``process_request`` has returned, if not None; raises TypeError for what is no answer."""
    if isinstance(answer, Response):
        return answer
    raise TypeError(f"process_request returned {answer!r:.100}, expected a Response or None")


def failure(error: BaseException, request: Request) -> Response:
    """Answer what was raised for a request: a refusal as it says, and 500 for a bug of the application's."""
    if isinstance(error, HandshakeError):
        logger.debug("Refused a WebSocket: %s", error)
        try:
            return refuse(error)
        except (TypeError, ValueError) as fault:
            error = fault
    # Without the query, which may hold a secret.
    logger.error("The application failed to answer a request for %s", request.target.partition("?")[0], exc_info=error)
    return refuse(HandshakeError("Internal server error", 500))


def plain(response: Response, method: str = "GET") -> Response:
    """Complete a plain answer, behind which the connection is closed; one to HEAD has no body (RFC 9110 9.3.2)."""
    headers = Headers(response.headers)
    if "Content-Length" not in headers:
        headers.add("Content-Length", str(len(response.body)))
    if "Connection" not in headers:
        headers.add("Connection", "close")
    return Response(response.status, headers, response.reason, b"" if method == "HEAD" else response.body)
