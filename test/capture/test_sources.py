"""The same conversation by three witnesses: our capture, tcpdump, and Chromium's devtools protocol."""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import dpkt
import pytest
from playwright.sync_api import sync_playwright

from test.chunking import TEXT, Piece
from test.client.peers import request
from test.programs import WS4PY_NG, run
from test.recordings.make import FLAGS, HELPERS, HERE, _page
from test.recordings.scenes import QUIET, SCENES
from ws4py_ng.capture import Capture, CaptureError, Connection, Recording, read, replay
from ws4py_ng.capture.har import to_har
from ws4py_ng.capture.model import inspect
from ws4py_ng.capture.settings import open_tap
from ws4py_ng.capture.sources import load
from ws4py_ng.capture.writing import part_path
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

CHROMIUM, TCPDUMP = shutil.which("chromium"), shutil.which("tcpdump")
needs_tools = pytest.mark.skipif(CHROMIUM is None or TCPDUMP is None, reason="apt-get install -y chromium tcpdump")


def messages(connection: Connection) -> list[tuple[bool, bool, bytes]]:
    """Return the messages of each side; how the two interleave depends on where one looks."""
    rows = inspect(connection).messages
    return [(row.from_client, row.is_text, row.data) for row in sorted(rows, key=lambda row: row.from_client)]


class Tcpdump:
    """Capture a server's port on the loopback, from when this is entered to when it is left, each packet."""

    def __init__(self, port: int, path: Path) -> None:
        self._port = port
        self._path = path
        # In immediate mode a packet takes as much of the buffer as the longest one might.
        command = [str(TCPDUMP), "-i", "lo", "-U", "--immediate-mode", "-B", "65536", "-w", str(path)]
        self._process = subprocess.Popen([*command, f"tcp port {port}"], stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> None:
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        assert "listening on lo" in said, f"tcpdump needs root or CAP_NET_RAW: {said}"

    def __exit__(self, *exc: object) -> None:
        if exc[0] is None:
            with socket.create_connection(("127.0.0.1", self._port)) as sock:
                sock.sendall(b"GET /that-was-all HTTP/1.1\r\n\r\n")
                while sock.recv(1000):
                    pass
            while b"/that-was-all" not in self._path.read_bytes():
                assert self._process.poll() is None
                time.sleep(0.01)
        self._process.terminate()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()


class Devtools:
    """Write down what the devtools protocol says of WebSockets, as the devtools do in a HAR."""

    def __init__(self, session: Any) -> None:
        self.entry: dict[str, Any] = {"_webSocketMessages": [], "_resourceType": "websocket"}
        session.send("Network.enable")
        session.on("Network.webSocketWillSendHandshakeRequest", self._asked)
        session.on("Network.webSocketCreated", self._created)
        session.on("Network.webSocketHandshakeResponseReceived", self._answered)
        session.on("Network.webSocketFrameSent", lambda event: self._frame("send", event))
        session.on("Network.webSocketFrameReceived", lambda event: self._frame("receive", event))

    def _created(self, event: dict[str, Any]) -> None:
        self._url = event["url"]

    def _asked(self, event: dict[str, Any]) -> None:
        self._offset = event["wallTime"] - event["timestamp"]
        headers = [{"name": name, "value": value} for name, value in event["request"]["headers"].items()]
        self.entry["request"] = {"method": "GET", "url": self._url, "headers": headers}
        self.entry["startedDateTime"] = "2026-01-02T03:04:05.678Z"

    def _answered(self, event: dict[str, Any]) -> None:
        response = event["response"]
        headers = [{"name": name, "value": value} for name, value in response["headers"].items()]
        self.entry["response"] = {"status": response["status"], "headers": headers}

    def _frame(self, kind: str, event: dict[str, Any]) -> None:
        frame = event["response"]
        row = {"type": kind, "time": event["timestamp"] + self._offset, "opcode": frame["opcode"]}
        self.entry["_webSocketMessages"].append({**row, "data": frame["payloadData"]})

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"log": {"version": "1.2", "entries": [self.entry]}}))


@needs_tools
@pytest.mark.parametrize("name", ["text", "binary", "deflate"])
def test_three_witnesses_tell_the_same(name: str, tmp_path: Path) -> None:
    scene = SCENES[name]
    ours, theirs, har = tmp_path / "ours.wscap", tmp_path / "theirs.pcap", tmp_path / "browser.har"
    options: dict[str, Any] = {"limits": QUIET, "deflate": scene.deflate}
    with serve(
        EchoWebSocket,
        "127.0.0.1",
        0,
        capture=lambda asked: None if _page(asked) else ours,
        process_request=_page,
        **options,
    ) as server:
        server.start()
        with Tcpdump(server.port, theirs), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
            page = browser.new_page()
            devtools = Devtools(page.context.new_cdp_session(page))
            page.goto(f"http://127.0.0.1:{server.port}/page")
            # Chromium does not tell its devtools what is in a Blob.
            script = scene.script.replace("new Blob([", "(").replace("]));", "));")
            page.evaluate(HELPERS, [f"ws://127.0.0.1:{server.port}/chat", script])
            browser.close()
    devtools.write(har)
    by_tcpdump = [each for each in load(theirs).connections if b"pgrade: websocket" in each.incoming()]
    expected = messages(read(ours).connection())
    assert len(expected) >= 4
    assert expected == messages(by_tcpdump[0])
    assert expected == messages(load(har).connection())
    replay(by_tcpdump[0], EchoWebSocket, against="itself", splits="random").check()
    assert by_tcpdump[0].incoming() == read(ours).connection().incoming()
    # And back: what is exported is what was imported.
    har.write_text(json.dumps(to_har(read(ours))))
    assert expected == messages(load(har).connection())


# Parts


def rotated(path: Path) -> list[Path]:
    """Record a connection in several parts; return them, the oldest first."""
    tap = open_tap(Capture(path, max_size=64 * 1024), "server", "test")
    tap.received(request())
    tap.sent(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    for _ in range(20):
        tap.received(Piece(TEXT, bytes(1000)).to_bytes(masked=True))
        tap.sent(Piece(TEXT, bytes(1000)).to_bytes(masked=False))
    tap.close()
    return [part for number in (3, 2, 1, 0) if (part := part_path(path, number)).exists()]


@pytest.mark.parametrize("name", ["trace.wscap", "trace.txt"])
def test_a_part_is_read_with_those_before_it(name: str, tmp_path: Path) -> None:
    parts = rotated(tmp_path / name)
    assert len(parts) > 2
    for number, part in enumerate(parts):
        found = load(part)
        assert ", ".join(map(str, parts[: number + 1])) == found.source
        assert not found.connection().continued
    assert 20 == len(replay(parts[-1], EchoWebSocket).check().messages)
    for command in (["inspect"], ["replay", "--app", "echo"]):
        done = run([*WS4PY_NG, *command, name], cwd=tmp_path)
        assert 0 == done.returncode
    parts[0].unlink()
    with pytest.raises(CaptureError, match="begins in a part of the capture that is not here"):
        replay(parts[-1], EchoWebSocket)


def test_inspect_names_the_parts_that_it_has_read(tmp_path: Path) -> None:
    names = [part.name for part in rotated(tmp_path / "trace.wscap")]
    done = run([*WS4PY_NG, "inspect", "./trace.wscap"], cwd=tmp_path)
    told = f"ws4py-ng: a connection begins in an earlier part: read {', '.join(names)}\n"
    assert (0, told) == (done.returncode, done.stderr.decode())


# Reassembly


def packet(sport: int, dport: int, seq: int, flags: int, data: bytes = b"") -> bytes:
    tcp = dpkt.tcp.TCP(sport=sport, dport=dport, seq=seq, flags=flags, data=data)
    ip = dpkt.ip.IP(src=b"\x7f\0\0\1", dst=b"\x7f\0\0\1", p=6, data=tcp)
    ip.len = len(ip)
    return bytes(dpkt.ethernet.Ethernet(src=bytes(6), dst=bytes(6), type=0x0800, data=ip))


def write_pcap(path: Path, *packets: bytes) -> Recording:
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for number, data in enumerate(packets):
            writer.writepkt(data, ts=number)
    return load(path)


REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("isn", [1, 0xFFFFFFFF - 5])
@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (0, 3, 2, 1), (0, 1, 1, 2, 0, 3), (2, 1, 0, 3)], ids=["right", "swapped", "twice", "mixed"]
)
def test_segments_are_put_in_order_each_byte_once(isn: int, order: tuple[int, ...], tmp_path: Path) -> None:
    cuts = [(0, 4), (4, 9), (7, 12), (12, len(REQUEST))]  # of which two overlap
    parts = [packet(5, 9, (isn + 1 + a) % 2**32, 0x18, REQUEST[a:b]) for a, b in cuts]
    found = write_pcap(tmp_path / "a.pcap", packet(5, 9, isn, 0x02), *(parts[i] for i in order))
    assert REQUEST == found.connection().incoming()


def test_a_missing_segment_is_told(tmp_path: Path) -> None:
    found = write_pcap(
        tmp_path / "a.pcap", packet(5, 9, 1, 0x02), packet(5, 9, 2, 0x18, REQUEST), packet(5, 9, 99, 0x18, b"later")
    )
    assert [REQUEST, b""] == [chunk.data for chunk in found.connection().chunks]
    assert "packets are missing" in found.connection().chunks[-1].error


HELLO, LATER = b"\x16\x03\x01\x00\x05hello", b"\x81\x82maskhi"


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        ([], "it has no packet of TCP"),
        ([packet(5, 9, 1, 0x18, HELLO), packet(9, 5, 1, 0x18, HELLO)], "of its 1 TCP connections 1 are TLS"),
        ([packet(5, 9, 1, 0x18, LATER), packet(6, 9, 1, 0x02)], "of its 2 TCP connections 0 are TLS"),
    ],
    ids=["empty", "TLS", "later"],
)
def test_what_a_pcap_without_a_websocket_has_is_told(packets: list[bytes], said: str, tmp_path: Path) -> None:
    found = write_pcap(tmp_path / "a.pcap", *packets)
    assert [] == found.connections
    with pytest.raises(CaptureError, match=f"There is no connection in .*a.pcap: {said}"):
        found.connection()


@pytest.mark.parametrize("time", [1e12, 1e19, -1e19])
def test_a_time_that_no_calendar_has_is_exported_as_the_first_one(time: float) -> None:
    recording = read(HERE / "text.wscap.gz")
    connection = recording.connection()
    connection.chunks = [chunk._replace(time=chunk.time + time) for chunk in connection.chunks]
    assert "1970-01-01T00:00:00+00:00" == to_har(recording)["log"]["entries"][0]["startedDateTime"]


HAR = json.dumps(
    {
        "log": {
            "entries": [
                {
                    "startedDateTime": "2026-01-02T03:04:05Z",
                    "request": {"url": "ws://a/"},
                    "response": {"status": 101},
                    "_webSocketMessages": [{"type": "send", "time": 1.5, "opcode": 1, "data": "x"}],
                }
            ]
        }
    }
).encode()


def block(kind: int, body: bytes) -> bytes:
    """Make a block of a pcapng."""
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


# The resolution of the times of an interface is a byte, which this one has not.
NO_RESOLUTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(
    1, struct.pack("<HHIHHHH", 101, 0, 0, 9, 0, 0, 0)
)


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for data, what in (
        (b"what?", "is no capture, pcap, HAR or flows"),
        (b'{"log": ', "is no HAR: at byte 8"),
        (b'{"log": {"entries": [{"_webSocketMessages": [1]}]}}', "is no HAR: there is no 'startedDateTime' where"),
        (b"{}", "is no HAR: there is no 'log' where there should be one"),
        (HAR.replace(b"1.5", b"Infinity"), "is no HAR: ValueError a time of inf"),
        (HAR.replace(b"1.5", b"1e999"), "is no HAR: ValueError a time of inf"),
        (b"\xd4\xc3\xb2\xa1", "cannot be read, at byte"),
        (NO_RESOLUTION, "cannot be read, at byte"),
        (b"\xd4\xc3\xb2\xa1\2\0\4\0" + bytes(8) + b"\0\0\4\0\xf9\0\0\0", "Packets of link type 249"),
    ):
        path.write_bytes(data)
        with pytest.raises(CaptureError, match=what):
            load(path)


def test_a_pcap_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    write_pcap(path, packet(5, 9, 1, 0x02), packet(5, 9, 2, 0x18, REQUEST), packet(9, 5, 2, 0x18, b"HTTP"))
    for size in range(24, path.stat().st_size):
        (tmp_path / "cut.pcap").write_bytes(path.read_bytes()[:size])
        try:
            load(tmp_path / "cut.pcap")
        except CaptureError:
            assert size < 100
