"""Each example runs, as its docstring says, and prints what it is there to show."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from test.programs import PROMPT, ROOT, Program, run, screen

EXAMPLES = ROOT / "example"
PYTHON = (sys.executable, "-W", "error")


def example(name: str, *arguments: str) -> list[str]:
    """Make the command that runs an example."""
    return [*PYTHON, str(EXAMPLES / f"{name}.py"), *arguments]


def url_from(program: Program) -> str:
    """Read the address that a server prints."""
    found = re.fullmatch(r"listening on (ws://127\.0\.0\.1:\d+/)", program.line())
    assert found
    return found[1]


def test_every_example_is_run_by_a_test() -> None:
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.rglob("*.py"))
    untested = [path.name for path in EXAMPLES.glob("*.py") if not re.search(rf'"{path.stem}(\.py)?"', tests)]
    assert [] == untested


def test_the_echo_client_talks_to_the_echo_server() -> None:
    with Program(example("echo_server", "0")) as server:
        client = run(example("echo_client", url_from(server)))
        assert (0, "") == (client.returncode, client.stderr.decode())
        assert [
            "a line of text",
            "00 01 02 ff",
            "one message, in two fragments",
            "closed: 1000 that is all",
        ] == client.stdout.decode().splitlines()
        assert "a client has come" == server.line()
        assert "a client has gone: 1000" == server.line()
        server.send_signal()
        assert (0, []) == (server.status(), server.errors())


def test_a_replay_finds_what_depends_on_how_bytes_arrive() -> None:
    done = run(example("split_reads"))
    assert (1, "") == (done.returncode, done.stderr.decode())
    lines = done.stdout.decode().splitlines()
    assert "as it was recorded: <Replay of 4 calls, 47 bytes sent, 1 runs, same>" == lines[0]
    assert "What was sent differs from the recording at byte 1, in frame 0 (text, 31 bytes)" in lines[2]
    assert "cut at 12" == lines[-1]


def test_the_capacity_of_hosts_is_what_breaks_first_times_what_is_measured() -> None:
    done = run(example("capacity", "--connections", "1000000", "--tls", "--publishes", "50000"))
    assert (0, "") == (done.returncode, done.stderr.decode())
    lines = done.stdout.decode().splitlines()
    assert "first: CPU" in lines
    assert lines[-1].startswith("the bus breaks before all")
    secured = run(example("capacity", "--connections", "1000000", "--tls"))
    assert "first: memory" in secured.stdout.decode().splitlines()
    few = run(example("capacity", "--connections", "1000", "--publishes", "1"))
    assert "1 hosts of 8 workers, 125 connections each" in few.stdout.decode().splitlines()


def test_the_chat_server_tells_everybody() -> None:
    with Program(example("chat_server", "0")) as server:
        url = url_from(server)
        with connect(f"{url}?name=Ada", proxy=None) as ada:
            assert "* Ada has come in" == ada.recv()
            with connect(url, proxy=None) as other:
                assert "* somebody has come in" == ada.recv() == other.recv()
                ada.send("hello")
                assert "Ada: hello" == ada.recv() == other.recv()
                other.send(b"\x00")
                with pytest.raises(ConnectionClosed) as caught:
                    other.recv()
                assert caught.value.rcvd is not None
                assert 1003 == caught.value.rcvd.code
            assert "* somebody has left" == ada.recv()
            server.send_signal()
            with pytest.raises(ConnectionClosed) as caught:
                ada.recv()
            assert caught.value.rcvd is not None
            assert 1001 == caught.value.rcvd.code
        assert (0, []) == (server.status(), server.errors())


def test_the_chat_is_open_to_the_command_that_its_docstring_shows() -> None:
    with Program(example("chat_server", "0")) as server, screen("connect", f"{url_from(server)}?name=Ada") as terminal:
        terminal.expect("< * Ada has come in\r\n")
        terminal.expect(PROMPT)
        terminal.type("hello\r")
        terminal.expect("< Ada: hello\r\n")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert 0 == terminal.status()


def test_captured_chunks_drive_a_session_without_a_socket() -> None:
    done = run(example("captured_chunks"))
    assert (0, "") == (done.returncode, done.stderr.decode())
    assert [
        "opened",
        "2 bytes wanted, 7 given",
        "  to send: nothing",
        "4 bytes wanted, 11 given",
        "  received Hello",
        "  to send: 81 0c 35 20 63 68 61 72 61 63 74 65 72 73",
        "4 bytes wanted, 22 given",
        "  to send: 8a 04 70 69 6e 67",
        "5 bytes wanted, 13 given",
        "  received Привет",
        "closed with 1000",
        "  to send: 81 0c 36 20 63 68 61 72 61 63 74 65 72 73 88 02 03 e8",
        "ended: Ending(code=1000, reason=b'', clean=True)",
    ] == done.stdout.decode().splitlines()


def test_a_captured_file_is_read_no_further_than_the_close_frame(tmp_path: Path) -> None:
    done = run(example("captured_file"))
    assert (0, "") == (done.returncode, done.stderr.decode())
    assert [
        "text: Greetings from a file, 你好",
        "binary: 00 01 02 03 ff",
        "closed: 1000 done",
        "behind it in the file: b'not WebSocket any more'",
    ] == done.stdout.decode().splitlines()
    cut = tmp_path / "cut.bin"
    cut.write_bytes((EXAMPLES / "captured_file.bin").read_bytes()[:-40])
    done = run(example("captured_file", str(cut)))
    assert "closed: 1006 Going away" in done.stdout.decode()
