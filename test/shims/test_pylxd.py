"""pylxd, which cannot be edited, runs commands and hears events behind `install_as_ws4py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from test.programs import Program
from test.transports.tls import CERTS, write_certificates

OUTPUT = [
    r"(3, 'héllo\n', 'oops\n')",
    r"(0, 'line 1\nline 2\n', '')",
    r"(0, '199\n', '')",
    "0 3000000 {0}",
    r"['piece\n']",
    "['lifecycle', 'logging']",
    "['lifecycle']",
]


@contextmanager
def lxd(where: str) -> Iterator[str]:
    """Serve; give the last word of what the server says: where it listens."""
    with Program([sys.executable, "-m", "test.shims.sites.lxd", where]) as server:
        yield server.line().split()[-1]


def client(*arguments: str, **changes: str) -> Program:
    # The variables that requests obeys are not to be those of whoever runs the tests.
    here = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", "PYTHONIOENCODING": "utf-8", **changes}
    return Program([sys.executable, "-W", "ignore", "-m", "test.shims.sites.pylxd_client", *arguments], **here)


def test_pylxd_runs_over_a_unix_socket(tmp_path: Path) -> None:
    with lxd(str(tmp_path / "lxd")) as path, client(path) as program:
        assert [*OUTPUT, "ws4py_ng.client"] == [program.line() for _ in range(len(OUTPUT) + 1)]
        assert 0 == program.status()


@pytest.mark.original
def test_what_is_served_is_what_pylxd_expects(tmp_path: Path) -> None:
    said: list[list[str]] = []
    for attempt in range(3):  # of three million bytes the original may lose some, on a busy machine
        with lxd(str(tmp_path / str(attempt))) as path, client(path, "--original") as program:
            said.append([program.line() for _ in range(len(OUTPUT) + 1)])
        if said[-1] == [*OUTPUT, "ws4py.client"]:
            return
    pytest.fail(f"{said}")


@pytest.mark.parametrize("trusts", [True, False])
def test_pylxd_runs_over_https_with_a_server_that_is_trusted(
    trusts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CERTS, str(tmp_path))  # so that it is forgotten afterwards
    write_certificates(tmp_path)
    certificate, key = str(tmp_path / "server.pem"), str(tmp_path / "server.key")
    authority = str(tmp_path / "authority.pem") if trusts else ""
    with (
        lxd("tls") as port,
        client(f"https://localhost:{port}", certificate, key, certificate, SSL_CERT_FILE=authority) as program,
    ):
        if trusts:
            assert [*OUTPUT, "ws4py_ng.client"] == [program.line() for _ in range(len(OUTPUT) + 1)]
            assert 0 == program.status()
        else:
            assert "CERTIFICATE_VERIFY_FAILED" in program.errors()[-1]
