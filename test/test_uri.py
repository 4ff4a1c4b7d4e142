"""What `parse_uri` makes of a URL, and what it refuses."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.uri import URI, parse_uri

# url: (scheme, host, port, resource, Host)
GOOD = {
    "ws://localhost": ("ws", "localhost", 80, "/", "localhost"),
    "ws://localhost/": ("ws", "localhost", 80, "/", "localhost"),
    "wss://localhost": ("wss", "localhost", 443, "/", "localhost"),
    "WSS://Example.COM/Chat": ("wss", "example.com", 443, "/Chat", "example.com"),
    "ws://localhost:9000/a/b?c=d&e": ("ws", "localhost", 9000, "/a/b?c=d&e", "localhost:9000"),
    "ws://localhost?x=1": ("ws", "localhost", 80, "/?x=1", "localhost"),
    "ws://localhost:/": ("ws", "localhost", 80, "/", "localhost"),
    "ws://localhost:80/": ("ws", "localhost", 80, "/", "localhost"),
    "ws://localhost:443/": ("ws", "localhost", 443, "/", "localhost:443"),
    "wss://localhost:443/": ("wss", "localhost", 443, "/", "localhost"),
    "wss://localhost:80/": ("wss", "localhost", 80, "/", "localhost:80"),
    "ws://127.0.0.1:65535/": ("ws", "127.0.0.1", 65535, "/", "127.0.0.1:65535"),
    "ws://[::1]/": ("ws", "::1", 80, "/", "[::1]"),
    "ws://[::1]:8080/": ("ws", "::1", 8080, "/", "[::1]:8080"),
    "wss://[2001:DB8::1]": ("wss", "2001:db8::1", 443, "/", "[2001:db8::1]"),
    "ws://[::ffff:127.0.0.1]:1/": ("ws", "::ffff:127.0.0.1", 1, "/", "[::ffff:127.0.0.1]:1"),
    "ws://bücher.example/": ("ws", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
    "ws://BÜCHER.example/": ("ws", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
    "ws://chat_server/": ("ws", "chat_server", 80, "/", "chat_server"),
    "ws://example.com./": ("ws", "example.com.", 80, "/", "example.com."),
    "ws://localhost/é?ü=ß": ("ws", "localhost", 80, "/%C3%A9?%C3%BC=%C3%9F", "localhost"),
    "ws://localhost/a%20b?c=%23": ("ws", "localhost", 80, "/a%20b?c=%23", "localhost"),
    'ws://localhost/?q={"a"}': ("ws", "localhost", 80, "/?q=%7B%22a%22%7D", "localhost"),
    "ws://localhost/?a[]=b@c:d": ("ws", "localhost", 80, "/?a[]=b@c:d", "localhost"),
    "ws://localhost/ws://other/": ("ws", "localhost", 80, "/ws://other/", "localhost"),
}

# url: (scheme, unix_path, resource)
UNIX = {
    "ws+unix:///my.socket": ("ws+unix", "/my.socket", "/"),
    "ws+unix:///abc": ("ws+unix", "/abc", "/"),  # ws4py cut this to two characters
    "wss+unix:///run/my.socket": ("wss+unix", "/run/my.socket", "/"),
    "ws+unix:///my.socket?room=1": ("ws+unix", "/my.socket", "/?room=1"),
    "ws+unix:///my%20socket": ("ws+unix", "/my socket", "/"),
}

# url: a part of the error
BAD = {
    "qsdfqsd65qsd354": "no scheme",
    "": "no scheme",
    "localhost:9000": "no scheme",
    "//localhost/": "no scheme",
    "ws:/localhost/": "no scheme",
    "ftp://localhost": "unknown scheme",
    "ftp://?/": "unknown scheme",
    "://localhost": "unknown scheme",
    "http://localhost/": "expected ws:// in its place",
    "HTTPS://localhost/": "expected wss:// in its place",
    "ws://": "no host",
    "ws:///path": "no host",
    "ws://?/": "no host",
    "ws://:80/": "no host",
    "ws://user@/": "no host",
    "ws://localhost:0/": "bad port",
    "ws://localhost:65536/": "bad port",
    "ws://localhost:99999/": "bad port",
    "ws://localhost:123456/": "bad port",
    "ws://localhost:abc/": "bad port",
    "ws://localhost:-1/": "bad port",
    "ws://localhost:+80/": "bad port",
    "ws://localhost:٨٠/": "bad port",
    "ws://localhost:80:80/": "bad port",
    "ws://[::1]:x/": "bad port",
    "ws://::1/": "no host",
    "ws://a::1/": "bad port",
    "ws://[::1/": "bad IPv6",
    "ws://[::1]x/": "bad IPv6",
    "ws://[localhost]/": "bad IPv6",
    "ws://[]/": "bad IPv6",
    "ws://[:::::]/": "bad IPv6",
    "ws://[fe80::1%25eth0]/": "bad IPv6",
    "ws://exa%6dple.com/": "bad host",
    "ws://exam!ple.com/": "bad host",
    "ws://a..b/": "bad host",
    "ws://.a/": "bad host",
    "ws://a\\b/": "bad host",
    "ws://a℀b.example/": "bad host",  # IDNA makes "a/c" of the sign
    f"ws://{'a' * 64}.example/": "bad host",
    f"ws://{'a.' * 127}a/": "bad host",
    f"ws://{'é' * 300}/": "bad host",
    "ws://é..example/": "IDNA",
    "ws://\udc80/": "IDNA",
    f"ws://{'é' * 70}.example/": "IDNA",
    "ws://localhost/#fragment": "RFC 6455 3",
    "ws://localhost#": "RFC 6455 3",
    "ws+unix:///my.socket#x": "RFC 6455 3",
    "ws://localhost/a b": "space or control",
    " ws://localhost/": "space or control",
    "ws://local host/": "space or control",
    "ws://localhost/\r\nX: y": "space or control",
    "ws://localhost/\n": "space or control",
    "ws://localhost/\t": "space or control",
    "ws://localhost/\0": "space or control",
    "ws://localhost/\x7f": "space or control",
    "ws://localhost/\x85": "space or control",
    "ws://localhost/\ud800": "surrogate",
    "ws+unix://my.socket": "three slashes",
    "ws+unix://localhost/my.socket": "three slashes",
    "ws+unix:///": "no path of a socket",
    "ws+unix://": "no path of a socket",
    "ws+unix:///a%00b": "no path of a socket",
    "ws+unix:///%ff": "no UTF-8",
    "ws://a:b@c@localhost/": "more than one @",
    "ws://%ff:x@localhost/": "no UTF-8",
    "ws://\ud800:x@localhost/": "no UTF-8",
    "ws://a%3Ab:c@localhost/": "a colon in the user",
    "ws://a:b%0D%0AX:c@localhost/": "control character in the credentials",
}


@pytest.mark.parametrize("url", GOOD)
def test_a_url_is_taken_apart(url: str) -> None:
    uri = parse_uri(url)
    assert GOOD[url] == (uri.scheme, uri.host, uri.port, uri.resource, uri.host_header)
    assert (uri.scheme == "wss") is uri.secure
    assert uri.unix_path is None
    assert uri.userinfo is None


@pytest.mark.parametrize("url", UNIX)
def test_the_path_of_a_unix_url_is_the_sockets(url: str) -> None:
    uri = parse_uri(url)
    assert UNIX[url] == (uri.scheme, uri.unix_path, uri.resource)
    assert ("localhost", None, "localhost") == (uri.host, uri.port, uri.host_header)
    assert uri.scheme.startswith("wss") is uri.secure


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_refused_and_the_error_says_why(url: str) -> None:
    with pytest.raises(ValueError, match=r"^'.* has ") as caught:
        parse_uri(url)
    assert BAD[url] in str(caught.value)


@pytest.mark.parametrize(
    ("url", "userinfo"),
    [
        ("ws://user:pw@host/", ("user", "pw")),
        ("ws://user@host/", ("user", "")),
        ("ws://:pw@host/", ("", "pw")),
        ("ws://us%40er:p%3Aw%2F@host/", ("us@er", "p:w/")),
        ("ws://user:a:b@host/", ("user", "a:b")),
        ("ws://%C3%BC:%C3%9F@host/", ("ü", "ß")),
        ("ws://@host/", None),
    ],
)
def test_user_and_password_are_decoded_and_never_in_host(url: str, userinfo: tuple[str, str] | None) -> None:
    uri = parse_uri(url)
    assert userinfo == uri.userinfo
    assert ("host", "host") == (uri.host, uri.host_header)
    assert "/" == uri.resource


@pytest.mark.parametrize(
    "url",
    [
        "ws://user:secret@host/#x",
        "ws://user:secret@host:x/",
        "ws://user:sec/secret@host/",
        "ws://user:sec@secret@host/",
        "ws://user:secret@",
        "http://user:secret@host/",
        "user:secret@host",
        "ws:user:secret@host",
        "ws://user:secret@[host/",
        "ws://user:secret%ff@host/",
        "ws://user:secret\udc80@host/",
        "ws://user:secret @host/",
    ],
)
def test_no_error_shows_a_password(url: str) -> None:
    with pytest.raises(ValueError, match="has") as caught:
        parse_uri(url)
    error = caught.value
    assert "***@" in str(error)
    assert "secret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_the_repr_has_no_password() -> None:
    assert "secret" not in repr(parse_uri("ws://user:secret@host/"))


def test_a_long_url_is_cut_in_the_error() -> None:
    with pytest.raises(ValueError, match="fragment") as caught:
        parse_uri("ws://host/" + "x" * 100_000 + "#")
    assert len(str(caught.value)) < 500


def test_a_uri_can_be_changed_by_a_copy_only() -> None:
    uri = parse_uri("ws://host/a")
    assert "/b" == dataclasses.replace(uri, resource="/b").resource
    with pytest.raises(dataclasses.FrozenInstanceError):
        uri.resource = "/b"  # type: ignore[misc]


@given(st.text() | st.text().map("ws://{}".format) | st.text().map("ws://host/{}".format))
def test_any_text_gives_a_uri_or_a_value_error(text: str) -> None:
    try:
        uri = parse_uri(text)
    except UnicodeError:
        raise
    except ValueError:
        return
    assert isinstance(uri, URI)
    for part in (uri.host_header, uri.resource):
        assert part.isascii()
        assert part.isprintable()
        assert " " not in part
    assert uri.resource.startswith("/")
