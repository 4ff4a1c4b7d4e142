"""Who may connect, by Origin."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from ws4py_ng.handshake.origin import OriginRule, check_origins, is_allowed, is_host

EXACT = ["https://app.example"]
PATTERN = [re.compile(r"https://[a-z]+\.example")]

# row: (Origin, Host, rules, let in)
ROWS: dict[str, tuple[str | None, str, Sequence[OriginRule], bool]] = {
    "no Origin": (None, "a.example", [], True),
    "the same host": ("http://a.example", "a.example", [], True),
    "the same host in another case": ("HTTP://A.example", "a.EXAMPLE", [], True),
    "the same host by TLS": ("https://a.example", "a.example", [], True),
    "the same host and port": ("http://a.example:8080", "a.example:8080", [], True),
    "a default port only in Origin": ("http://a.example:80", "a.example", [], True),
    "a default port only in Host": ("https://a.example", "a.example:443", [], True),
    "an empty port": ("http://a.example", "a.example:", [], True),
    "the same IPv6 address": ("http://[::1]:9000", "[::1]:9000", [], True),
    "another host": ("http://evil.example", "a.example", [], False),
    "a subdomain": ("http://b.a.example", "a.example", [], False),
    "a host that begins the same": ("http://a.example.evil", "a.example", [], False),
    "another port": ("http://a.example:8081", "a.example:8080", [], False),
    "the port of the other scheme": ("http://a.example", "a.example:443", [], False),
    "an opaque Origin": ("null", "a.example", [], False),
    "an opaque Origin for a host of that name": ("null", "null", [], False),
    "an empty Origin": ("", "a.example", [], False),
    "an Origin with a path": ("http://a.example/", "a.example", [], False),
    "an Origin with a user": ("http://a.example@evil.example", "a.example", [], False),
    "two Origins": ("http://a.example http://evil.example", "a.example", [], False),
    "an extension of the browser": ("chrome-extension://abc", "a.example", [], False),
    "a Host that is none": ("http://a.example", "a.example/", [], False),
    "a listed Origin": ("https://app.example", "a.example", EXACT, True),
    "a listed Origin in another case": ("HTTPS://APP.example", "a.example", EXACT, True),
    "a listed Origin with its default port": ("https://app.example:443", "a.example", EXACT, True),
    "a listed Origin with another port": ("https://app.example:444", "a.example", EXACT, False),
    "a listed Origin with another scheme": ("http://app.example", "a.example", EXACT, False),
    "the same host beside a list": ("https://a.example", "a.example", EXACT, True),
    "no Origin beside a list": (None, "a.example", EXACT, True),
    "a pattern": ("https://b.example", "a.example", PATTERN, True),
    "a pattern that matches only the beginning": ("https://b.example.evil", "a.example", PATTERN, False),
    "a pattern that matches only the end": ("xhttps://b.example", "a.example", PATTERN, False),
    "an opaque Origin that is listed": ("null", "a.example", ["null"], True),
    "an extension of the browser that is listed": ("x-ext://abc", "a.example", ["x-ext://abc"], True),
    "a star": ("https://evil.example", "a.example", ["*"], True),
    "a star for no Origin": (None, "a.example", ["*"], True),
}


@pytest.mark.parametrize("row", ROWS)
def test_an_origin_is_let_in_or_not(row: str) -> None:
    origin, host, rules, expected = ROWS[row]
    assert expected is is_allowed(origin, host, rules)


@pytest.mark.parametrize(
    "rule", ["app.example", "https://app.example/", "//a", "https://*.example", "https://é.example", ""]
)
def test_a_rule_that_never_matches_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"expected scheme://host\[:port\] without a path"):
        check_origins([rule])


@pytest.mark.parametrize("rule", ["https://a.example:8443", "x-ext://abc", "file://", "null", "*"])
def test_a_rule_that_may_match_is_taken(rule: OriginRule) -> None:
    check_origins([rule])


def test_one_origin_is_no_list() -> None:
    with pytest.raises(ValueError, match="expected a list"):
        check_origins("https://app.example")


@pytest.mark.parametrize("host", ["a", "a.b:80", "a:", "127.0.0.1", "[::1]", "[::1]:80", "a_b", "A.example."])
def test_a_host_header_is_recognized(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host", ["", ":80", "a b", "a,b", "a/b", "a@b", "a:b", "a:999999", "::1", "[::1", "[a", "é", "a\n"]
)
def test_what_is_no_host_header_is_recognized(host: str) -> None:
    assert not is_host(host)
