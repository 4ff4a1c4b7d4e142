"""TLS: verified unless the caller says otherwise in so many words."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from test.client.peers import (
    QUIET,
    certificates,
    client_context,
    echo_spy,
    get,
    open_client,
    running,
    server_context,
    url_of,
)
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.client.tls import client_context as context_of


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Write the certificates to files: those of the authority, of the client, and its key."""
    found = certificates()
    paths = {name: str(tmp_path / name) for name in ("ca", "cert", "key")}
    found.authority.cert_pem.write_to_path(paths["ca"])
    found.client.private_key_pem.write_to_path(paths["key"])
    for i, blob in enumerate(found.client.cert_chain_pems):
        blob.write_to_path(paths["cert"], append=i > 0)
    return paths


def talk(url: str, **options: Any) -> str:
    """Let a client say hello; return the echo."""
    with open_client(url, **options) as client:
        client.send("hello")
        return str(get(client.messages))


def refused(url: str, **options: Any) -> ssl.SSLError:
    """Let a client fail; return why."""
    client = WebSocketClient(url, limits=QUIET, **options)
    with pytest.raises(ssl.SSLError) as caught:
        client.connect()
    assert client.sock is None
    return caught.value


def test_an_unknown_authority_is_refused_by_default() -> None:
    with running(echo_spy(), ssl_context=server_context()) as server:
        error = refused(url_of(server))
    assert isinstance(error, ssl.SSLCertVerificationError)


def test_a_certificate_for_another_name_is_refused() -> None:
    leaf = certificates().authority.issue_cert("other.example")
    with running(echo_spy(), ssl_context=server_context(leaf)) as server:
        error = refused(url_of(server), ssl_context=client_context())
        assert "localhost" in str(error)
        assert "hello" == talk(
            url_of(server), ssl_context=client_context(), ssl_options={"server_hostname": "other.example"}
        )


def test_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    other = trustme.CA().issue_cert("localhost")
    with running(echo_spy(), ssl_context=server_context(other)) as server:
        assert isinstance(refused(url_of(server), ssl_context=client_context()), ssl.SSLCertVerificationError)


def test_a_context_is_used_as_it_is() -> None:
    with running(echo_spy(), ssl_context=server_context()) as server:
        assert "hello" == talk(url_of(server), ssl_context=client_context())


def test_ca_certs_names_whom_to_trust(files: dict[str, str]) -> None:
    with running(echo_spy(), ssl_context=server_context()) as server:
        assert "hello" == talk(url_of(server), ssl_options={"ca_certs": files["ca"]})
        assert "hello" == talk(url_of(server), ssl_options={"ca_certs": files["ca"], "cert_reqs": ssl.CERT_REQUIRED})


def test_an_ip_address_is_verified_as_well(files: dict[str, str]) -> None:
    with running(echo_spy(), ssl_context=server_context()) as server:
        url = url_of(server).replace("localhost", "127.0.0.1")
        assert "hello" == talk(url, ssl_options={"ca_certs": files["ca"]})
    leaf = certificates().authority.issue_cert("localhost")
    with running(echo_spy(), ssl_context=server_context(leaf)) as server:
        refused(url_of(server).replace("localhost", "127.0.0.1"), ssl_options={"ca_certs": files["ca"]})


def test_cert_none_trusts_whoever_answers() -> None:
    with running(echo_spy(), ssl_context=server_context()) as server:
        assert "hello" == talk(url_of(server), ssl_options={"cert_reqs": ssl.CERT_NONE})


def test_only_the_name_may_be_left_unchecked(files: dict[str, str]) -> None:
    leaf = certificates().authority.issue_cert("other.example")
    with running(echo_spy(), ssl_context=server_context(leaf)) as server:
        assert "hello" == talk(url_of(server), ssl_options={"ca_certs": files["ca"], "check_hostname": False})


def test_certfile_is_shown_to_a_server_that_asks(files: dict[str, str]) -> None:
    context = server_context()
    certificates().authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with running(echo_spy(), ssl_context=context) as server:
        options = {"ca_certs": files["ca"], "certfile": files["cert"], "keyfile": files["key"]}
        assert "hello" == talk(url_of(server), ssl_options=options)
        # TLS 1.3 lets the client find out when it reads: as an error or as an end.
        client = WebSocketClient(url_of(server), ssl_options={"ca_certs": files["ca"]}, limits=QUIET)
        with pytest.raises(Exception, match=r"(?i)certificate|reset|closed|broken|EOF"):
            client.connect()
        assert client.sock is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_carry_messages(version: ssl.TLSVersion) -> None:
    context = server_context()
    context.minimum_version = context.maximum_version = version
    with running(echo_spy(), ssl_context=context) as server:
        assert "hello" == talk(url_of(server), ssl_context=client_context())


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\['cafile'\], expected some of"):
        context_of({"cafile": "x"})


@pytest.mark.parametrize("option", ["ca_certs", "certfile", "keyfile"])
def test_a_file_that_is_not_there_is_named(option: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nobody\.pem"):
        context_of({option: str(tmp_path / "nobody.pem")})


def test_the_default_context_verifies() -> None:
    context = context_of({})
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)
    open_context = context_of({"cert_reqs": ssl.CERT_NONE})
    assert (ssl.CERT_NONE, False) == (open_context.verify_mode, open_context.check_hostname)
    assert ssl.CERT_REQUIRED == context_of({"cert_reqs": ssl.CERT_OPTIONAL}).verify_mode


def test_ciphers_are_set() -> None:
    names = {cipher["name"] for cipher in context_of({"ciphers": "ECDHE-RSA-AES256-GCM-SHA384"}).get_ciphers()}
    assert "ECDHE-RSA-AES256-GCM-SHA384" in names
    assert "ECDHE-RSA-AES128-GCM-SHA256" not in names
