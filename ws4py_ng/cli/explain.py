"""Why there is no connection, in one line: what is wrong, and the way out."""

from __future__ import annotations

import socket
import ssl

from ..exc import HandshakeError
from ..uri import URI

__all__ = ["explain"]

# Numbers of OpenSSL's X509_V_ERR_...
SELF_SIGNED = frozenset({18, 19})
UNKNOWN_ISSUER = frozenset({2, 20, 21})
WRONG_NAME = frozenset({62, 64})
# What OpenSSL says of an answer that is no TLS.
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
HINTS = {
    301: "connect to the address in its Location",
    401: "send --header 'Authorization: ...', or ws://user:password@host/",
    403: "it may want a --header: 'Origin: ...', 'Cookie: ...' or 'Authorization: ...'",
    404: "check the path of the URL",
    426: "it speaks another version of the protocol",
}
MAX_BODY = 200


def explain(error: Exception, uri: URI) -> str:
    """Explain what `WebSocketClient` and its `connect` raise."""
    where = uri.unix_path or uri.host_header
    if isinstance(error, HandshakeError):
        return _refusal(error, where)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _mistrust(error, where)
    if isinstance(error, ssl.SSLError):
        if error.reason in NO_TLS:
            return f"{where} does not speak TLS: try ws:// in place of wss://"
        return f"TLS with {where} failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"cannot find the host {uri.host!r}: {error.strerror}; check the URL and your network"
    if isinstance(error, TimeoutError):
        return f"{where} does not answer: check host and port; is a firewall between?"
    if isinstance(error, ConnectionRefusedError):
        return f"cannot connect to {where}: connection refused; is the server running, and is that its port?"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        other = "ws://" if uri.secure else "wss://"
        return f"{where} hung up during the handshake: is it a WebSocket server? Does it want {other}?"
    if isinstance(error, OSError):
        return f"cannot connect to {where}: {error.strerror or error}"
    return str(error)


def _mistrust(error: ssl.SSLCertVerificationError, where: str) -> str:
    said = error.verify_message
    if error.verify_code in SELF_SIGNED | UNKNOWN_ISSUER:
        return (
            f"the certificate of {where} is not trusted ({said}): give its authority by --ca-file FILE, "
            "or trust whoever answers by --insecure"
        )
    if error.verify_code in WRONG_NAME:
        return f"the certificate of {where} is for another name ({said}): connect to its name, or use --insecure"
    return f"the certificate of {where} is not valid ({said}): --insecure connects nevertheless"


def _refusal(error: HandshakeError, where: str) -> str:
    if error.status is None:
        return f"{where}: {error.msg}"
    status = 301 if 301 <= error.status <= 308 else error.status
    hint = f"; {HINTS[status]}" if status in HINTS else ""
    kind = next((value for name, value in error.headers if name.lower() == "content-type"), "")
    body = ""
    if kind.startswith("text/plain"):
        body = error.body[:MAX_BODY].decode("utf-8", "replace").strip()
    return f"{where}: {error.msg}{f' ({body})' if body else ''}{hint}"
