"""`shims.geventwebsocket` under gunicorn, and behind `install`."""

from __future__ import annotations

import sys
from pathlib import Path

from test.programs import Program
from ws4py_ng.client.threadedclient import connect

PROGRAM = """
import sys
from ws4py_ng.shims import install
install("geventwebsocket")
from gunicorn.app.wsgiapp import run

def application(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is None:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]
    while (message := ws.receive()) is not None:
        ws.send(message)
    return []

def when_ready(server):
    print("listening on", server.LISTENERS[0].getsockname()[1], flush=True)

if __name__ == "__main__":
    sys.argv[1:] = [
        *("--worker-class", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"),
        *("--bind", "127.0.0.1:0", "--config", __file__, "--no-control-socket", "program:application"),
    ]
    run()
"""


def test_gunicorns_worker_runs_unedited_programs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with Program([sys.executable, "program.py"], cwd=tmp_path) as gunicorn:
        port = gunicorn.line().split()[-1]
        with connect(f"ws://127.0.0.1:{port}/") as ws:
            ws.send("x" * 500_000)
            assert "x" * 500_000 == str(ws.receive(10))
        gunicorn.process.terminate()
        assert 0 == gunicorn.status()
