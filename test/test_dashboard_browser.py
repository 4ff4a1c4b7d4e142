"""The live dashboard in headless Chromium, served by `example/dashboard` and by `make demo`."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from websockets.sync.client import ClientConnection, connect

from test.browser import browser_fixture, needs_chromium, playwright_fixture  # noqa: F401 - fixtures
from test.programs import ROOT, WAIT, WS4PY_NG, Program, run
from test.pubsub.brokers import Broker, redis_server

pytestmark = needs_chromium
expect.set_options(timeout=WAIT * 1000)

DASHBOARD = [sys.executable, "-W", "error", str(ROOT / "example" / "dashboard")]
# What a page is sent of a room from one process: [number, value], with None where its line is broken.
LINE = """([room, source]) => (dashboard.rooms.get(room)?.points ?? [])
    .filter((point) => point.source === source).map(({ n, value }) => [n ?? null, value])"""
HAS = f"([room, source, count]) => ({LINE})([room, source]).length >= count"
# Chromium itself reports a server that is not there, whatever a page does about it.
REFUSED = re.compile(r"WebSocket connection to .* failed")


class Served(Program):
    """Run the example; ``url`` is its page, ``name`` what it calls itself."""

    def __init__(self, *arguments: str, port: str = "0") -> None:
        super().__init__([*DASHBOARD, "--port", port, *arguments])
        found = re.fullmatch(r"open (http://127\.0\.0\.1:(\d+)/dashboard)", self.line())
        assert found
        self.url, self.name = found[1], found[2]


Visit = Callable[[str], Page]


@pytest.fixture
def visit(browser: BrowserContext) -> Iterator[Visit]:
    """Open pages; afterwards their consoles must be silent."""
    complaints: list[str] = []
    pages: list[Page] = []

    def visit(url: str) -> Page:
        page = browser.new_page()
        pages.append(page)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        expect_live(page)
        return page

    yield visit
    for page in pages:
        page.close()
    assert [] == [each for each in complaints if not REFUSED.search(each)]


def expect_live(page: Page) -> None:
    """Wait for the connection."""
    expect(page.get_by_role("status")).to_have_text("live")


def line(page: Page, room: str, source: str, count: int) -> list[Any]:
    """Wait until a page has so many readings of a room; return them."""
    page.wait_for_function(HAS, arg=[room, source, count])
    found: list[Any] = page.evaluate(LINE, [room, source])
    return found


def missed(page: Page, room: str) -> int:
    """Tell how many readings a page knows that it has not got."""
    return int(page.evaluate("(room) => dashboard.rooms.get(room).missed", room))


def numbers(found: list[Any]) -> list[int]:
    """Return the numbers of readings, without the breaks of the line."""
    return [number for number, _ in found if number is not None]


def test_all_pages_see_the_same_at_once_and_after_a_reload(visit: Visit) -> None:
    with Served("--rate", "20") as server:
        one = visit(server.url)
        early = line(one, "cellar", server.name, 30)
        assert list(range(1, len(early) + 1)) == numbers(early)
        other = visit(server.url)
        # At once: it was not there when these were published.
        late = line(other, "cellar", server.name, len(early))
        assert early == late[: len(early)]
        one.reload()
        expect_live(one)
        again = line(one, "cellar", server.name, len(late))
        assert late == again[: len(late)]
        expect(one.locator("#viewers")).to_have_text("2")
        expect(other.locator("#viewers")).to_have_text("2")
        expect(one.locator("#rtt-median")).to_have_text(re.compile(r"^[\d.]+ ms$"))
        expect(one.locator("#served")).to_contain_text(f"served by {server.name}, process {server.process.pid}, ")
        other.close()
        expect(one.locator("#viewers")).to_have_text("1")
        server.send_signal(signal.SIGTERM)
        assert (0, []) == (server.status(), server.errors())


def test_rooms_are_joined_and_left_and_stand_in_the_address(visit: Visit) -> None:
    with Served("--rooms", "north,south,the attic", "--rate", "20") as server:
        page = visit(f"{server.url}#south")
        shown = page.locator("#plots h2")
        expect(shown).to_have_text(["south"])
        line(page, "south", server.name, 5)
        page.get_by_role("button", name="the attic").click()
        expect(shown).to_have_text(["south", "the attic"])
        line(page, "the attic", server.name, 5)
        expect(page.get_by_role("button", name="the attic").locator(".count")).to_have_text("1")
        page.get_by_role("button", name="south").click()
        expect(shown).to_have_text(["the attic"])
        expect(page.get_by_role("button", name="south").locator(".count")).to_have_text("0")
        assert page.url.endswith("#the%20attic")
        page.reload()
        expect(shown).to_have_text(["the attic"])
        drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(x => x)"
        assert page.locator("#plots canvas").evaluate(drawn)


def test_a_page_comes_back_by_itself_when_the_server_does(visit: Visit) -> None:
    with Served("--rate", "20") as server:
        page = visit(server.url)
        line(page, "cellar", server.name, 5)
        server.process.kill()
        expect(page.locator("#notice")).to_contain_text("Connection lost (1006). Attempt ")
        server.status()
    # The pause grows, but is never long.
    expect(page.locator("#notice")).to_contain_text("Attempt 4 in ")
    with Served("--rate", "20", port=server.name) as server:
        expect_live(page)
        expect(page.locator("#reconnects")).to_have_text("1")
        expect(page.locator("#notice")).to_be_hidden()
        line(page, "cellar", server.name, 30)
        # Without a bus nobody kept what was read before: the line is broken there, and says so.
        assert [True] == page.evaluate("dashboard.rooms.get('cellar').gaps.map((gap) => gap.restarted)")
        assert None in [value for _, value in line(page, "cellar", server.name, 30)]


def test_what_a_page_misses_is_filled_from_the_history_or_shown_as_missing(visit: Visit) -> None:
    with Served("--rate", "150") as server:
        page, other = visit(server.url), visit(server.url)

        def away(count: int) -> None:
            """Keep the page from connecting while so many more are published."""
            page.evaluate("() => { dashboard.live.connect = () => {}; dashboard.live.socket.close(); }")
            here = line(page, "cellar", server.name, 5)[-1][0]
            other.wait_for_function(
                "([source, n]) => dashboard.rooms.get('cellar').sources.get(source).n >= n",
                arg=[server.name, here + count],
            )
            page.evaluate("() => { delete dashboard.live.connect; dashboard.live.connect(); }")
            page.wait_for_function(
                "([source, n]) => dashboard.rooms.get('cellar').sources.get(source).n >= n",
                arg=[server.name, here + count],
            )

        away(30)
        expect(page.locator('[data-room="cellar"] .tally')).to_have_text(re.compile(r"0 missed · \d+ caught up"))
        found = numbers(line(page, "cellar", server.name, 30))
        assert list(range(found[0], found[0] + len(found))) == found
        away(900)
        expect(page.locator('[data-room="cellar"] .tally')).to_have_class("tally bad")
        gap = page.evaluate("dashboard.rooms.get('cellar').gaps[0]")
        assert 0 < gap["missed"] == missed(page, "cellar")
        assert gap["from"] < gap["to"]
        # Nothing is drawn from one end of it to the other.
        drawn = page.evaluate("(source) => dashboard.rooms.get('cellar').line(source)", server.name)
        assert [None] == [value for value in drawn if value is None]
        assert None in [value for _, value in line(page, "cellar", server.name, 30)]


def test_a_viewer_who_cannot_keep_up_is_shown_and_harms_nobody(visit: Visit) -> None:
    with Served("--rate", "100") as server:
        page = visit(server.url)
        page.get_by_role("button", name="Add").click()
        slow = page.locator("#people tr", has_text=f"slow {server.name}/1")
        expect(slow.locator(".tag")).to_have_text("conflated")
        expect(slow.locator(".lost")).to_have_text(re.compile(r"^[1-9]"))
        page.get_by_label("A viewer who cannot keep up").select_option("is closed with 1013")
        page.get_by_role("button", name="Add").click()
        expect(page.locator("#people .parted")).to_contain_text("closed with 1013")
        mine = page.locator("#people tr", has_text="you")
        expect(mine.locator(".lost")).to_have_text("0")
        assert 0 == missed(page, "cellar")
        outside = run([*DASHBOARD, "--slow-viewer", f"127.0.0.1:{server.name}", "--name", "Eve", "--policy", "close"])
        assert (0, b"the server has ended it\n", b"") == (outside.returncode, outside.stdout, outside.stderr)
        server.send_signal()
        assert 0 == server.status()
        # What it is there to log, and nothing else.
        assert [True, True] == ["Viewer is closed with 1013: " in each for each in server.errors()]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Broker]:
    with redis_server(tmp_path) as broker:
        yield broker


def test_two_processes_show_the_same_and_a_restart_loses_nothing(visit: Visit, redis: Broker) -> None:
    options = ("--rate", "20", "--bus", redis.url)
    with Served(*options) as first, Served(*options) as second:
        here, there = visit(first.url), visit(second.url)
        for source in (first.name, second.name):
            seen = line(here, "kitchen", source, 20)
            same = dict(map(tuple, line(there, "kitchen", source, 20)))
            both = [[number, value] for number, value in seen if number in same]
            assert 10 < len(both)
            assert both == [[number, same[number]] for number, _ in both]
        expect(here.locator("#served")).to_contain_text(f"served by {first.name}")
        expect(there.locator("#served")).to_contain_text(f"served by {second.name}")
        for page in (here, there):
            expect(page.locator("#viewers")).to_have_text("2")
            expect(page.locator("#processes strong")).to_contain_text(sorted([first.name, second.name]))
        before = numbers(line(here, "kitchen", second.name, 20))
        first.process.kill()
        expect(here.locator("#notice")).to_contain_text("Connection lost (1006)")
        # The other process goes on meanwhile.
        line(there, "kitchen", second.name, len(before) + 60)
        with Served(*options, port=first.name):
            expect_live(here)
            after = numbers(line(here, "kitchen", second.name, len(before) + 60))
            assert list(range(before[0], before[0] + len(after))) == after
            expect(here.locator('[data-room="kitchen"] .tally')).to_have_text(re.compile(r"^0 missed · \d+ caught up$"))
            # The line of the one that was away is broken, over all that the other has published meanwhile.
            broken = "(source) => dashboard.rooms.get('kitchen').line(source).filter((value) => value === null).length"
            here.wait_for_function(f"(source) => ({broken})(source) >= 60", arg=first.name)
            assert 0 == here.evaluate(broken, second.name)


def test_redis_may_go_away_and_come_back(visit: Visit, redis: Broker) -> None:
    options = ("--rate", "20", "--bus", redis.url)
    with Served(*options) as first, Served(*options) as second:
        page = visit(first.url)
        line(page, "cellar", second.name, 5)
        redis.kill()
        expect(page.locator("#processes .away")).to_contain_text("bus: redis streams away, ")
        # Its own process serves it all the same; a reload in this time gets what comes from now on.
        page.reload()
        expect_live(page)
        known = len(line(page, "cellar", first.name, 5))
        line(page, "cellar", first.name, known + 20)
        redis.start()
        expect(page.locator("#processes .away")).to_have_count(0)
        found = numbers(line(page, "cellar", second.name, 40))
        assert list(range(found[0], found[0] + len(found))) == found


def test_make_demo_serves_it_beside_its_page(visit: Visit, browser: BrowserContext) -> None:
    with Program([*WS4PY_NG, "demo", "--port", "0"]) as demo:
        found = re.search(r"http://\S+", demo.line())
        assert found
        page = visit(f"{found[0]}dashboard")
        source = found[0].rstrip("/").rpartition(":")[2]
        line(page, "greenhouse", source, 3)
        page.get_by_role("link", name="Frames").click()
        expect(page.get_by_role("status")).to_have_text("open")
        page.get_by_role("link", name="Live dashboard").click()
        expect_live(page)
        line(page, "greenhouse", source, 3)
        demo.send_signal()
        # Why it was lost stays there, whatever the attempts come to.
        lost = re.compile(r"Connection lost \(1001: Server is shutting down\)\. Attempt ([3-9]|\d\d) in ")
        expect(page.locator("#notice")).to_have_text(lost)
        assert (0, []) == (demo.status(), demo.errors())


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_width_and_follows_the_colours(visit: Visit, scheme: Any, width: int) -> None:
    with Served("--rate", "20") as server:
        page = visit(server.url)
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        line(page, "cellar", server.name, 3)
        expect(page.locator("#people tr")).to_have_count(1)
        assert width == page.evaluate("document.documentElement.scrollWidth")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 23)"
        assert ("dark" == scheme) is dark


@contextmanager
def raw(server: Served) -> Iterator[ClientConnection]:
    """Be a viewer without a page."""
    with connect(f"ws://127.0.0.1:{server.name}/dashboard/live", proxy=None) as client:
        assert "hello" == json.loads(client.recv(WAIT))["is"]
        yield client


def answer(client: ClientConnection, kind: str) -> dict[str, Any]:
    """Wait for a message of a kind."""
    while (found := json.loads(client.recv(WAIT)))["is"] != kind:
        pass
    return dict(found)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ('{"do": "join", "room": "roof"}', "ValueError: There is no room 'roof', expected one of cellar, kitchen, "),
        ('{"do": "join", "room": ["roof"]}', "ValueError: There is no room ['roof'], expected one of "),
        ('{"do": "dance"}', "KeyError: 'dance'"),
        ('{"do": "hello", "name": "Eve", "policy": "never"}', "ValueError: 'never' is not a valid Policy"),
        ('{"do": "ping", "id": 1, "rtt": "soon"}', "ValueError: could not convert string to float"),
        ('{"do": "ping", "id": 1, "rtt": 1e999}', "ValueError: rtt is inf, expected milliseconds"),
        ('{"do": "ping", "id": 1, "rtt": NaN}', "ValueError: rtt is nan, expected milliseconds"),
        ('{"do": "hello", "name": "Eve", "max_pending": 1e999}', "OverflowError: cannot convert float infinity"),
        ("[]", "TypeError: list indices must be"),
        ("no JSON", "JSONDecodeError: Expecting value"),
        (b"\xff", "UnicodeDecodeError: "),
    ],
)
def test_what_makes_no_sense_is_answered_by_what_is_wrong(order: str | bytes, expected: str) -> None:
    with Served() as server, raw(server) as client:
        client.send(order)
        assert answer(client, "error")["text"].startswith(expected)
        client.send('{"do": "ping", "id": 5}')
        assert 5 == answer(client, "pong")["id"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--bus", "nats://127.0.0.1"), "--bus 'nats://127.0.0.1': expected redis://HOST[:PORT]"),
        (("--rooms", " , "), "--rooms ' , ': expected names separated by commas"),
        (("--rate", "0"), "--rate '0': expected a number above 0"),
        (("--slow-viewer", "9000"), "--slow-viewer '9000': expected HOST:PORT"),
    ],
)
def test_a_wrong_option_is_named(arguments: tuple[str, ...], expected: str) -> None:
    done = run([*DASHBOARD, *arguments])
    assert 0 != done.returncode
    assert expected in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_port_in_use_is_named() -> None:
    with Served() as server:
        done = run([*DASHBOARD, "--port", server.name])
    assert 1 == done.returncode
    assert f"Cannot listen on 127.0.0.1, port {server.name}: Address already in use" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
