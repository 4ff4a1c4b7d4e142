"""`ws4py-ng inspect --html` and `--web` as their users run them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from test.programs import WS4PY_NG, Program, run
from test.recordings.make import HERE

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
        (["--web", "--hex"], 2, "--web and --hex: choose one"),
        (["--html", "x", "--follow"], 2, "--web goes with --follow"),
        (["--open"], 2, "--open goes with --web"),
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


def test_no_page_is_made_of_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.har"
    empty.write_text('{"log": {"entries": []}}')
    for view in (["--html", str(tmp_path / "out.html")], ["--web"]):
        done = run([*WS4PY_NG, "inspect", str(empty), *view])
        assert 1 == done.returncode
        assert b"there is no connection in" in done.stderr
    assert not (tmp_path / "out.html").exists()


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
