"""The page by HTTP: for who knows the address, and nobody else."""

from __future__ import annotations

import pytest

from ws4py_ng.handshake import Headers, Request, Response
from ws4py_ng.inspector import Site


def ask(site: Site, target: str, method: str = "GET", **headers: str) -> Response:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return site.answer(Request(method, target, Headers(named)))


def test_the_page_and_its_data_are_served() -> None:
    site = Site(lambda: b"data")
    shown, data = ask(site, site.path), ask(site, f"{site.path}data")
    assert (200, "text/html; charset=utf-8") == (shown.status, shown.headers.get("Content-Type"))
    assert b">ZGF0YQ==</script>" in shown.body
    assert (200, b"data", "4") == (data.status, data.body, data.headers.get("Content-Length"))
    assert b"" == ask(site, site.path, "HEAD").body


def test_data_that_is_known_is_not_sent_again() -> None:
    versions = iter((b"one", b"one", b"two"))
    site = Site(lambda: next(versions))
    tag = ask(site, f"{site.path}data").headers.get("ETag") or ""
    assert [304, 200] == [ask(site, f"{site.path}data", If_None_Match=tag).status for _ in range(2)]


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [("/", "GET", 404), ("/data", "GET", 404), ("{}x", "GET", 404), ("{}", "POST", 405)],
)
def test_nothing_else_is_served(target: str, method: str, status: int) -> None:
    site = Site(lambda: b"data")
    answer = ask(site, target.format(site.path), method)
    assert status == answer.status
    assert site.path.encode() not in answer.body


def test_each_address_is_another_and_nobody_else_may_embed_it() -> None:
    sites = [Site(lambda: b"") for _ in range(3)]
    assert 3 == len({site.path for site in sites})
    assert all(len(site.path) > 20 for site in sites)
    assert "DENY" == ask(sites[0], sites[0].path).headers.get("X-Frame-Options")


def test_only_a_page_that_follows_may_ask() -> None:
    for follow, allowed in ((True, b"connect-src 'self'"), (False, b"connect-src 'none'")):
        site = Site(lambda: b"", follow=follow)
        assert allowed in ask(site, site.path).body
