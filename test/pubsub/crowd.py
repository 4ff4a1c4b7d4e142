"""Many peers in one thread, each of which remembers what it was sent."""

from __future__ import annotations

import selectors
import socket
import threading

from test.client.peers import WAIT, frame, request

__all__ = ["Crowd", "Face"]


class Face:
    """Be one peer: ``payloads`` are those of the data frames that came; a Ping and a Close are answered."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.payloads: list[bytes] = []
        self.ended = False
        self.code = 0
        self.answers = True
        self._buffer = b""

    def read(self) -> None:
        """Take what came."""
        try:
            data = self.sock.recv(1 << 20)
        except ConnectionError:
            data = b""
        self.ended = not data
        self._buffer += data
        position = 0
        buffer = self._buffer
        while len(buffer) >= position + 2 and len(buffer) >= position + 2 + buffer[position + 1]:
            end = position + 2 + buffer[position + 1]
            assert buffer[position + 1] < 126, "these peers know short frames"
            if buffer[position] in (0x81, 0x82):
                self.payloads.append(buffer[position + 2 : end])
            elif buffer[position] == 0x88:
                self.code = int.from_bytes(buffer[position + 2 : position + 4], "big")
                if self.answers:
                    self.sock.send(frame(8, buffer[position + 2 : end]))
            elif buffer[position] == 0x89:
                self.sock.send(frame(10, buffer[position + 2 : end]))
            position = end
        self._buffer = buffer[position:]


class Crowd:
    """Connect members of a topic, and read what they are sent, while the `with` lasts."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join(WAIT)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def join(self, port: int, count: int, query: str = "topic=news") -> list[Face]:
        """Let so many more come."""
        faces = []
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port), WAIT)
            sock.sendall(request(port=port, line=f"GET /?{query} HTTP/1.1"))
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(1)
            assert b" 101 " in head
            sock.setblocking(False)
            face = Face(sock)
            faces.append(face)
            with self._lock:
                self._selector.register(sock, selectors.EVENT_READ, face)
        return faces

    def _run(self) -> None:
        while not self._stopped.is_set():
            for key, _ in self._selector.select(0.05):
                face: Face = key.data
                face.read()
                if face.ended:
                    with self._lock:
                        self._selector.unregister(face.sock)
                    face.sock.close()
