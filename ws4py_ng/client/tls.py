"""TLS for clients: verified unless the caller says otherwise in so many words."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

__all__ = ["check_options", "client_context"]

KNOWN = frozenset(
    {"ca_certs", "cert_reqs", "certfile", "check_hostname", "ciphers", "keyfile", "password", "server_hostname"}
)


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that does not exist: a typing error may cost the verification."""
    unknown = set(options) - KNOWN
    if unknown:
        raise ValueError(f"ssl_options has {sorted(unknown)}, expected some of {sorted(KNOWN)}")


def client_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Make a context of ws4py's ``ssl_options``.

    The server is verified, by ``ca_certs`` (a file) if given, else by the system's
    authorities; only ``cert_reqs=ssl.CERT_NONE`` trusts whoever answers. Raises ValueError
    for an option that does not exist, OSError for a file that cannot be read.
    """
    check_options(options)
    _find_files(options)
    context = ssl.create_default_context(cafile=options.get("ca_certs"))
    if "check_hostname" in options:
        context.check_hostname = bool(options["check_hostname"])
    if options.get("cert_reqs", ssl.CERT_REQUIRED) == ssl.CERT_NONE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("certfile"):
        context.load_cert_chain(options["certfile"], options.get("keyfile"), options.get("password"))
    if options.get("ciphers"):
        context.set_ciphers(options["ciphers"])
    return context


def _find_files(options: Mapping[str, Any]) -> None:
    """Raise OSError, with its name, for a file that cannot be read; ssl names none."""
    for name in ("ca_certs", "certfile", "keyfile"):
        if options.get(name):
            with open(options[name], "rb"):
                pass
