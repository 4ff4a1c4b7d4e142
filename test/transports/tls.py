"""Certificates of the contract, as files, so that servers in other processes find them."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

__all__ = ["CERTS", "client_context", "server_context", "write_certificates"]

# Where the files are; child processes inherit it.
CERTS = "WS4PY_NG_CONTRACT_CERTS"


def write_certificates(folder: Path) -> None:
    """Make an authority and the certificate of a server."""
    import trustme

    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    server.private_key_pem.write_to_path(str(folder / "server.key"))
    os.environ[CERTS] = str(folder)


def certificate(name: str) -> str:
    """Return the path of ``authority.pem``, ``server.pem`` or ``server.key``."""
    return str(Path(os.environ[CERTS]) / name)


def server_context() -> ssl.SSLContext:
    """Make the context of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate("server.pem"), certificate("server.key"))
    return context


def client_context(*, distrust: bool = False) -> ssl.SSLContext:
    """Make the context of a client that trusts our authority."""
    return ssl.create_default_context(cafile=None if distrust else certificate("authority.pem"))
