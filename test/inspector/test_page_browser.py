"""The page of a recording in headless Chromium: opened as a file, as it is mailed around."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from test.browser import browser_fixture, needs_chromium, playwright_fixture  # noqa: F401 - fixtures
from test.inspector.made import CLOSE, PING, TEXT, WICKED, Script, hostile, many, story
from test.programs import WAIT, WS4PY_NG, Program, run
from test.recordings.make import HERE
from test.recordings.scenes import SCENES

pytestmark = needs_chromium
expect.set_options(timeout=WAIT * 1000)

Opener = Callable[..., Page]


@pytest.fixture
def opened(browser: BrowserContext, tmp_path: Path) -> Iterator[Opener]:
    """Make a page of a recording and open it; afterwards its console must have been silent."""
    complaints: list[str] = []
    with ExitStack() as pages:

        def watch(page: Page) -> Page:
            pages.callback(page.close)
            page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: complaints.extend(foreign(request.url)))
            page.on("dialog", lambda dialog: complaints.append(dialog.message))
            return page

        def open_page(recording: Path, *options: str) -> Page:
            page = watch(browser.new_page())
            page.set_viewport_size({"width": 1280, "height": 800})
            if "--web" in options:
                page.goto(options[1])
            else:
                out = tmp_path / "out.html"
                done = run([*WS4PY_NG, "inspect", str(recording), "--html", str(out), *options])
                assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
                page.goto(out.as_uri())
            expect(page.locator("#count")).to_have_text(re.compile(r"\d+ rows?$"))
            return page

        yield open_page
        assert [] == complaints


def foreign(url: str) -> list[str]:
    """Complain about what is not of this machine."""
    return [] if url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")) else [f"asked for {url}"]


def rows(page: Page) -> Locator:
    return page.locator("#rows .window .cells")


def chosen_row(page: Page) -> Locator:
    return page.locator("#rows [aria-selected=true]")


def texts(page: Page) -> list[str]:
    """Give the content of the rows that are in sight."""
    return page.locator("#rows .window .cells > :nth-child(6)").all_inner_texts()


def fact(page: Page, name: str) -> str:
    return page.locator("#facts > div", has=page.locator("dt", has_text=name)).locator("dd").inner_text()


def detail(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Detail")


def tab(page: Page, name: str) -> str:
    page.get_by_role("tab", name=name).click()
    return page.locator("#detail .body").inner_text()


def test_it_says_what_the_connection_was(opened: Opener, tmp_path: Path) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    assert "story.wscap · ws4py-ng inspect" == page.title()
    expect(page.locator("#summary")).to_have_text("1 connection · 1 violation")
    expect(page.locator("#heading")).to_contain_text("GET /orders?room=kitchen · 101 Switching Protocols")
    assert "16 messages, 3.42 KiB\n21 frames, 3.21 KiB" == fact(page, "From the client")
    assert "2.80 s\nbefore frame 19" == fact(page, "Longest gap")
    assert "18.6 ms\n2 of 2 pings answered, 14.2 ms to 23.1 ms" == fact(page, "Ping to Pong")
    assert re.match(r"[34]\.\d times smaller", fact(page, "Compression"))
    assert "by the server: 1007 (invalid frame payload data) Invalid UTF-8" == fact(page, "Closed")
    page.get_by_text("Handshake", exact=True).click()
    expect(page.locator("#heads")).to_contain_text("Host: shop.example")
    assert re.match(
        r"\d+ rows from the client and \d+ from the server in 6\.\d+ s",
        page.locator("#timeline").get_attribute("aria-label") or "",
    )


def test_a_violation_is_marked_and_led_to(opened: Opener, tmp_path: Path) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    page.get_by_role("button", name="Frame 34 of the client: 1007").click()
    chosen = chosen_row(page)
    expect(chosen).to_have_class("cells client bad")
    expect(chosen).to_contain_text("! 1007 (invalid frame payload data): Invalid UTF-8")
    expect(chosen).to_be_in_viewport()
    expect(detail(page)).to_contain_text("Invalid UTF-8: invalid continuation byte")
    assert ["Text", "Hex"] == page.locator("[role=tab]").all_inner_texts()  # JSON is UTF-8
    assert tab(page, "Text").startswith("Not UTF-8 from byte 29 on.")
    page.get_by_label("Kind").select_option("violation")
    expect(page.locator("#count")).to_have_text("1 of 36 rows")
    expect(chosen).to_have_count(1)


def test_filters_and_search_choose_rows(opened: Opener, tmp_path: Path) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    count = page.locator("#count")
    for label, value, found in (
        ("Kind", "ping", "2 of 36 rows"),
        ("Direction", "client", "0 of 36 rows"),
        ("Kind", "pong", "2 of 36 rows"),
        ("Kind", "", "20 of 36 rows"),
        ("Direction", "", "36 rows"),
        ("View", "frames", "37 rows"),
    ):
        page.get_by_label(label).select_option(value)
        expect(count).to_have_text(found)
    page.get_by_label("View").select_option("messages")
    search = page.get_by_role("searchbox", name="Search")
    for query, found in (
        ("PRINTER", "1 of 36 rows"),
        ("fd fe ff 00", "1 of 36 rows"),
        ("/order.*70(01|13)/", "2 of 36 rows"),
        ("nowhere", "0 of 36 rows"),
    ):
        search.fill(query)
        expect(count).to_have_text(found)
    search.fill("/(/")
    expect(count).to_contain_text("Invalid regular expression")
    search.fill("")
    expect(count).to_have_text("36 rows")


def test_a_row_is_shown_as_text_json_and_hex(opened: Opener, tmp_path: Path) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    rows(page).nth(1).click()
    facts = detail(page).locator("dl").inner_text()
    assert re.search(r"On the wire\n\d+ B, 1\.\d times smaller", facts)
    assert '"items": [\n    {\n      "sku": "tea-08",' in tab(page, "JSON")
    assert "18.9\n}" in tab(page, "JSON")
    assert tab(page, "Text").startswith('{"type": "order", "id": 7001')
    assert "00000000  7b 22 74 79 70 65 22 3a  |" not in tab(page, "Hex")
    assert "00000000  7b 22 74 79 70 65 22 3a 20 22 6f 72 64 65 72 22  |{" in tab(page, "Hex").replace('|{"', '|{"')
    page.get_by_role("button", name="Frame 1").click()
    assert "frames" == page.get_by_label("View").input_value()
    assert tab(page, "Hex").startswith("Header c1 ")
    assert tab(page, "Text").startswith("Compressed: the message has it inflated.")
    page.get_by_role("button", name="Message 1").click()
    expect(detail(page).get_by_role("heading")).to_have_text("Message 1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    assert "message-1.txt" == download.value.suggested_filename
    assert b'"id": 7001' in download.value.path().read_bytes()


def test_json_is_shown_as_it_was_sent(opened: Opener, tmp_path: Path) -> None:
    script = Script(tmp_path / "json.wscap")
    script.connect()
    script.client(0, TEXT, rb'{"a":12345678901234567890,"a":[],"b":{},"c":"x:\"{,","d":[1.50,null]}')
    page = opened(script.end())
    rows(page).first.click()
    lines = ["{", '  "a": 12345678901234567890,', '  "a": [],', '  "b": {},', r'  "c": "x:\"{,",', '  "d": [']
    assert [*lines, "    1.50,", "    null", "  ]", "}"] == tab(page, "JSON").split("\n")


def test_the_keyboard_and_the_timeline_choose_rows(opened: Opener, tmp_path: Path) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    chosen = chosen_row(page)
    page.get_by_role("listbox", name="Frames and messages").focus()
    for key, place in (("ArrowDown", 1), ("ArrowDown", 2), ("End", 36), ("ArrowUp", 35), ("Home", 1)):
        page.keyboard.press(key)
        expect(chosen).to_have_attribute("aria-posinset", str(place))
        expect(chosen).to_be_in_viewport()
    width = page.locator("#timeline").bounding_box()["width"]  # type: ignore[index]
    page.locator("#timeline").click(position={"x": width - 10, "y": 20})
    expect(chosen).to_have_attribute("aria-posinset", "36")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_a_hundred_thousand_messages_are_a_few_rows_of_the_document(opened: Opener, tmp_path: Path) -> None:
    page = opened(many(tmp_path / "many.wscap", 100_000))
    expect(page.locator("#count")).to_have_text("100,001 rows")
    nodes = page.evaluate("document.querySelectorAll('*').length")
    assert nodes < 600

    def is_small() -> bool:
        return rows(page).count() < 60 and page.evaluate("document.querySelectorAll('*').length") < nodes + 60

    scroller = page.locator("#rows .scroller")
    for part in (0.25, 0.5, 0.75):
        scroller.evaluate("(list, part) => { list.scrollTop = part * list.scrollHeight; }", part)
        expect(rows(page).first).to_contain_text(f"message {round(part * 100_001) // 100}")
        assert is_small()
    scroller.evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(rows(page).nth(-2)).to_contain_text("the last message")
    expect(rows(page).nth(-2)).to_be_in_viewport()
    scroller.evaluate("list => { list.scrollTop = 0; }")
    expect(rows(page).first).to_contain_text("message 0")
    page.get_by_role("searchbox").fill("the last message")
    expect(page.locator("#count")).to_have_text("1 of 100,001 rows")
    rows(page).first.click()
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#count")).to_have_text("100,001 rows")
    assert is_small()


def test_a_list_that_is_too_tall_for_a_browser_reaches_its_end(opened: Opener, tmp_path: Path) -> None:
    page = opened(many(tmp_path / "some.wscap", 5000))
    # Chromium lays out nothing taller than 33 million pixels: as if there were 2 million rows.
    page.evaluate("rows.fill = (element, index) => { element.textContent = `row ${index}`; }; rows.set(2_000_000)")
    scroller = page.locator("#rows .scroller")
    assert scroller.evaluate("list => list.scrollHeight") <= 8_000_000
    scroller.evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(rows(page).last).to_have_text("row 1999999")
    expect(rows(page).last).to_be_in_viewport()


def test_a_hostile_recording_stays_text(opened: Opener, tmp_path: Path) -> None:
    page = opened(hostile(tmp_path / "<img src=x onerror=alert(1)>.wscap"))
    expect(page.locator("h1")).to_have_text("<img src=x onerror=alert(1)>.wscap")
    page.get_by_text("Handshake", exact=True).click()
    count = int(page.locator("#count").inner_text().split()[0])
    assert 3 * len(WICKED) + 6 == count
    listbox = page.get_by_role("listbox", name="Frames and messages")
    listbox.focus()
    for _ in range(count):
        page.keyboard.press("ArrowDown")
        for name in page.locator("#detail [role=tab]").all_inner_texts():
            page.get_by_role("tab", name=name).click()
        listbox.focus()
    assert WICKED[1] in fact(page, "Closed")
    assert None is page.evaluate("window.broken ?? null")
    tags = page.evaluate("[...document.querySelectorAll('*')].map(each => each.localName)")
    assert {"img", "svg", "iframe", "textarea"}.isdisjoint(tags)
    assert 1 == tags.count("script")  # that of the data goes when it was read
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_what_would_turn_or_hide_a_line_is_shown_by_name(opened: Opener, tmp_path: Path) -> None:
    page = opened(hostile(tmp_path / "x.wscap"))
    shown = next(text for text in texts(page) if text.startswith("line"))
    assert r"line\u2028separator\u2029\u202eturned\u0000\u001b[31m" == shown


def test_the_page_runs_no_script_but_its_own(browser: BrowserContext, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    run([*WS4PY_NG, "inspect", str(story(tmp_path / "story.wscap")), "--html", str(out)])
    page = browser.new_page()
    page.goto(out.as_uri())
    blocked = page.evaluate(
        """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.violatedDirective));
            document.body.append(Object.assign(document.createElement("script"), { textContent: "window.broken = 1" }));
        })"""
    )
    assert ("script-src-elem", None) == (blocked, page.evaluate("window.broken ?? null"))
    page.close()


def test_connections_are_listed(opened: Opener, tmp_path: Path) -> None:
    script = Script(tmp_path / "two.wscap")
    for number in range(300):
        script.connect(f"/room/{number}")
        script.client(0.01, TEXT, f"from {number}".encode(), masked=number != 200)
        script.client(0.01, CLOSE, b"\x03\xe9")
        path = script.end()
    page = opened(path)
    expect(page.locator("#summary")).to_have_text("300 connections · 1 violation")
    listed = page.locator("#connections .cells")
    assert listed.count() < 12
    expect(listed.nth(3)).to_contain_text("by the client: 1001 (going away)")
    listed.nth(3).click()
    expect(rows(page).first).to_contain_text("from 3")
    page.keyboard.press("Tab")
    page.get_by_role("listbox", name="Connections").focus()
    page.keyboard.press("End")
    expect(rows(page).first).to_contain_text("from 299")
    page.get_by_role("listbox", name="Connections").evaluate("list => { list.scrollTop = 200 * 28; }")
    expect(listed.first).to_contain_text("! 1 violation")
    assert "cells bad" == listed.first.get_attribute("class")


def test_a_bad_handshake_is_listed_as_one(opened: Opener, tmp_path: Path) -> None:
    script = Script(tmp_path / "two.wscap")
    for target in ("/good", "/no target"):
        script.connect(target)
        trace = script.end()
    listed = opened(trace).locator("#connections .window .cells")
    expect(listed.nth(0)).to_contain_text("not closed")
    expect(listed.nth(1)).to_contain_text("! bad handshake")


def test_the_filters_of_the_command_choose_what_is_in_the_page(opened: Opener, tmp_path: Path) -> None:
    path = story(tmp_path / "story.wscap")
    for options, count in (
        (["--from", "server", "--opcode", "ping"], 2),
        (["--text", "order", "--min-size", "50", "--messages"], 14),
        (["--connection", "0", "--opcode", "close"], 2),
    ):
        page = opened(path, *options)
        expect(page.locator("#count")).to_have_text(f"{count} rows")
        assert ("filtered" in page.locator("#summary").inner_text()) is (options[-1] != "0")
        assert "2.80 s" in fact(page, "Longest gap")  # of all frames
        assert page.get_by_label("View").is_disabled() is ("--messages" in options)


@pytest.mark.parametrize("name", SCENES)
def test_every_recording_opens(opened: Opener, name: str) -> None:
    page = opened(HERE / f"{name}.wscap.gz")
    for view in ("messages", "frames"):
        page.get_by_label("View").select_option(view)
        expect(rows(page).first).to_be_visible()
        rows(page).first.click()
        expect(detail(page).get_by_role("heading")).to_have_text(re.compile(r"(Frame|Message) 0"))


def test_what_is_damaged_is_said(browser: BrowserContext, tmp_path: Path) -> None:
    path = story(tmp_path / "story.wscap")
    path.write_bytes(path.read_bytes()[:-9])
    out = tmp_path / "out.html"
    done = run([*WS4PY_NG, "inspect", str(path), "--html", str(out)])
    assert 0 == done.returncode
    page = browser.new_page()
    page.goto(out.as_uri())
    expect(page.locator("#problems li")).to_have_text(re.compile(r"at byte \d+: the file ends within a block"))
    html = out.read_text()
    begin = html.index('id="data">') + len('id="data">')
    out.write_text(html[: begin + 400] + html[html.index("</script>", begin) :])
    page.goto(out.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("This page is damaged")
    page.close()


def test_it_follows_a_file_that_grows(opened: Opener, tmp_path: Path) -> None:
    script = Script(tmp_path / "live.wscap")
    script.connect()
    script.client(0.1, TEXT, b"first")
    script.client(0.1, TEXT, b"second")
    with Program([*WS4PY_NG, "inspect", "--web", "--follow", "--opcode", "text", str(script.file.path)]) as program:
        page = opened(script.file.path, "--web", program.line())
        expect(page.locator("#count")).to_have_text("2 rows")
        expect(page.locator("#live")).to_have_text("live")
        rows(page).first.click()
        script.server(0.1, PING, b"not text")
        script.server(0.1, TEXT, b"third")
        expect(page.locator("#count")).to_have_text("3 rows")
        expect(detail(page)).to_contain_text("first")
        expect(chosen_row(page)).to_contain_text("first")
        script.end()
        script.connect("/second")
        expect(page.locator("#summary")).to_contain_text("2 connections")
        script.end()
        page.close()
        program.send_signal()
        assert (0, []) == (program.status(), program.errors())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_small_screen_in_both_schemes(opened: Opener, tmp_path: Path, scheme: str) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(detail(page)).to_be_hidden()
    rows(page).nth(1).click()
    expect(detail(page)).to_be_in_viewport()
    page.get_by_role("button", name="Close the detail").click()
    expect(detail(page)).to_be_hidden()
    expect(page.get_by_role("listbox", name="Frames and messages")).to_be_focused()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 246, 248)"
    assert light is (scheme == "light")


def test_all_controls_have_names(opened: Opener, tmp_path: Path) -> None:
    page = opened(story(tmp_path / "story.wscap"))
    rows(page).nth(1).click()
    for control in page.locator("button, input, select, canvas, [role=listbox]").all():
        tree = control.aria_snapshot()
        if tree:
            assert re.search(r'"[^"]+"', tree), f"no name: {tree}"


def test_a_time_that_no_calendar_has_is_left_out(opened: Opener, tmp_path: Path) -> None:
    data = gzip.decompress((HERE / "text.wscap.gz").read_bytes())
    resolution = b"\x09\0\x01\0\x09\0\0\0"  # of the times: 10^-9 s
    assert 1 == data.count(resolution)
    damaged = tmp_path / "damaged.wscap"
    damaged.write_bytes(data.replace(resolution, b"\x09\0\x01\0\0\0\0\0"))
    page = opened(damaged)
    expect(page.locator("#count")).to_have_text(re.compile(r"^20 rows"))
    assert "UTC" not in page.locator("#facts").inner_text()
