"""`ws4py-ng inspect --html` and `--web` as their users run them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from test.inspector.made import DEFLATE, Script
from test.programs import WS4PY_NG, Program, run
from test.recordings.make import HERE
from ws4py_ng.capture import Capture, read
from ws4py_ng.capture.har import to_har
from ws4py_ng.capture.settings import open_tap

TRACE = str(HERE / "text.wscap.gz")


def test_a_page_is_its_owners_to_read(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    for _ in range(2):  # over itself as well
        assert 0 == run([*WS4PY_NG, "inspect", TRACE, "--html", str(out)]).returncode
    assert "0o600" == oct(stat.S_IMODE(out.stat().st_mode))
    assert out.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--html", "x", "--web"], 2, "--html and --web: choose one"),
        (["--html", "x", "--json"], 2, "--html and --json: choose one"),
        (["--html", "x", "--har", "y"], 2, "--html and --har: choose one"),
        (["--har", "x", "--follow"], 2, "--har is written once: --web goes with --follow"),
        (["--har", "x", "--opcode", "text"], 2, "--har has all messages: leave the filters out"),
        (["--web", "--hex"], 2, "--web and --hex: choose one"),
        (["--html", "x", "--follow"], 2, "--web goes with --follow"),
        (["--open"], 2, "--open goes with --web"),
        (["--opcode", "foo"], 2, "'foo', expected continuation, text, binary, close, ping, pong, or a number up to 15"),
        (["--opcode", "16"], 2, "'16', expected continuation"),
        (["--messages", "--opcode", "ping"], 2, "--opcode ping is none of --messages, which are text or binary"),
        (["--connection", "-1"], 2, "'-1', expected a number, from 0"),
        (["--connection", "1"], 1, "Connection 1 of 1 in "),
        (["--connection", "1", "--html", "x"], 1, "Connection 1 of 1 in "),
        (["--connection", "1", "--har", "x"], 1, "Connection 1 of 1 in "),
        (["--html", "no/such/folder/x.html"], 1, "cannot write no/such/folder/x.html: No such file or directory"),
    ],
)
def test_what_does_not_go_together_is_said(options: list[str], status: int, said: str, tmp_path: Path) -> None:
    done = run([*WS4PY_NG, "inspect", TRACE, *options], cwd=tmp_path)
    assert status == done.returncode
    assert said in done.stderr.decode()
    assert [] == list(tmp_path.iterdir())


def test_the_recording_is_not_written_over(tmp_path: Path) -> None:
    copy = tmp_path / "copy.wscap.gz"
    copy.write_bytes(Path(TRACE).read_bytes())
    done = run([*WS4PY_NG, "inspect", str(copy), "--html", str(copy)])
    assert (1, Path(TRACE).read_bytes()) == (done.returncode, copy.read_bytes())
    assert b"is the recording itself" in done.stderr


def secretive(folder: Path) -> list[Path]:
    """Write recordings that have secrets: a capture of ours that was asked to keep them, and a HAR."""
    request = b"GET /?token=hush-1&x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic hush-2\r\nCookie: a=hush-3\r\n"
    request += b"X-Key: hush-4\r\nSec-WebSocket-Protocol: chat, hush-5\r\nReferer: http://a/?token=hush-6\r\n\r\n"
    tap = open_tap(Capture(folder / "ours.wscap", keep_secrets=True), "server", "test")
    for start in range(0, len(request), 11):
        tap.received(request[start : start + 11])
    tap.sent(b"HTTP/1.1 101 x\r\nSet-Cookie: b=hush-7\r\n\r\n")
    tap.sent(b"\x81\x04open")
    tap.close()
    (folder / "theirs.har").write_text(json.dumps(to_har(read(folder / "ours.wscap"))))
    return [folder / "ours.wscap", folder / "theirs.har"]


def test_nothing_that_is_exported_has_secrets(tmp_path: Path) -> None:
    named = ["--redact", "token", "--redact", "x-key", "--redact", "sec-websocket-protocol"]
    for trace in secretive(tmp_path):
        for options, hidden in (([], "237"), (named, "1234567"), (["--keep-secrets"], "")):
            seen = [*exported(trace, tmp_path, options)]
            secrets = {f"hush-{number}".encode() for number in "1234567"}
            left = {f"hush-{number}".encode() for number in "1234567" if number not in hidden}
            assert [left] * 3 == [{secret for secret in secrets if secret in data} for data in seen]
            assert all(b"open" in data for data in seen)


def exported(trace: Path, folder: Path, options: list[str]) -> Iterator[bytes]:
    """Give a recording as JSON Lines, as a HAR, and what is in the page."""
    inspect = [*WS4PY_NG, "inspect", str(trace), *options]
    yield run([*inspect, "--json"]).stdout
    assert 0 == run([*inspect, "--har", str(folder / "out.har")]).returncode
    assert "0o600" == oct(stat.S_IMODE((folder / "out.har").stat().st_mode))
    yield (folder / "out.har").read_bytes()
    assert 0 == run([*inspect, "--html", str(folder / "out.html")]).returncode
    yield unpacked((folder / "out.html").read_bytes())


def unpacked(html: bytes) -> bytes:
    """Take the data out of a page."""
    found = re.search(rb"H4sI[A-Za-z0-9+/=]+", html)
    assert found
    return html.replace(found[0], b"") + gzip.decompress(base64.b64decode(found[0]))


def test_a_har_is_a_recording_again(tmp_path: Path) -> None:
    assert 0 == run([*WS4PY_NG, "inspect", TRACE, "--har", str(tmp_path / "out.har")]).returncode
    shown = [run([*WS4PY_NG, "inspect", each, "--messages"]).stdout for each in (TRACE, str(tmp_path / "out.har"))]
    texts = [[line.split(b"  ", 3)[-1] for line in each.splitlines() if b" text " in line] for each in shown]
    assert texts[0] == texts[1]
    assert 18 == len(texts[0])


def test_nothing_is_made_of_nothing_and_it_is_said_why(tmp_path: Path) -> None:
    empty = tmp_path / "empty.har"
    empty.write_text('{"log": {"entries": [{}, {}]}}')
    for view in (["--html", "out"], ["--har", "out"], ["--web"], []):
        done = run([*WS4PY_NG, "inspect", "empty.har", *view], cwd=tmp_path)
        assert (1, b"") == (done.returncode, done.stdout)
        why = "none of its 2 entries has _webSocketMessages, as a browser writes them"
        assert f"ws4py-ng: There is no connection in empty.har: {why}\n" == done.stderr.decode()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "said"), [("a", "larger than the data"), ("a" * 900, r"\d+\.\d times smaller")])
def test_what_compression_did_is_said(text: str, said: str, tmp_path: Path) -> None:
    script = Script(tmp_path / "trace.wscap")
    script.connect("/", DEFLATE)
    script.compressed(0.1, True, text)
    done = run([*WS4PY_NG, "inspect", str(script.end())])
    assert re.search(f"^  compressed messages are {said}$", done.stdout.decode(), re.MULTILINE)


def test_the_page_is_served_to_who_has_its_address(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f"#!{sys.executable}\nimport sys\nopen({str(seen)!r}, 'w').write(sys.argv[1])\n")
    browser.chmod(0o755)
    os.mkfifo(seen)
    with Program([*WS4PY_NG, "inspect", TRACE, "--web", "--open"], BROWSER=str(browser)) as program:
        address = program.line()
        assert address == seen.read_text()  # the browser was asked to open it
        assert address.startswith("http://127.0.0.1:")
        with urlopen(address) as answer:
            assert answer.read().startswith(b"<!doctype html>")
        root = address.split("/")[2]
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"http://{root}/")
        refused.value.close()
        program.send_signal()
        assert (0, []) == (program.status(), program.errors())


def test_a_file_that_cannot_be_followed_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    for path, said in ((tmp_path / "x", "is no capture"), (tmp_path / "y", "cannot read")):
        for view in ([], ["--web"]):
            done = run([*WS4PY_NG, "inspect", str(path), "--follow", *view])
            assert 1 == done.returncode
            assert said in done.stderr.decode()
