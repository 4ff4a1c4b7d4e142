"""Rows of the contract: uvicorn with our protocol, and ASGI by its events, under uvicorn's own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import uvicorn

from ws4py_ng.server.asgi import WebSocketApplication

from .contract import Options, Row, RunningServer, ServerRow
from .handlers import routes
from .rows_asyncio import LoopThread
from .rows_threads import server_options
from .tls import certificate

__all__ = ["ROWS"]


class _Server:
    def __init__(self, options: Options, new_loop: Callable[[], asyncio.AbstractEventLoop], **settings: Any) -> None:
        self._thread = LoopThread(new_loop)
        self._stopped = False
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.address: Any = self._sock.getsockname()
        arguments = server_options(options)
        arguments.pop("ssl_context")
        tls = {"ssl_certfile": certificate("server.pem"), "ssl_keyfile": certificate("server.key")}
        config = uvicorn.Config(
            WebSocketApplication(routes("tasks"), **arguments),
            log_config=None,
            ws_ping_interval=None,
            ws_per_message_deflate=options.deflate,
            ws_max_size=max(options.all_limits.max_message_size, 32 * 1024 * 1024),
            timeout_graceful_shutdown=2,
            **(tls if options.tls else {}),
            **settings,
        )
        self._thread.call(self._start(config))

    async def _start(self, config: uvicorn.Config) -> None:
        self._server = uvicorn.Server(config)
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[self._sock]))
        while not self._server.started:
            await asyncio.sleep(0)

    async def _stop(self) -> None:
        self._server.should_exit = True
        await self._serving

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._thread.call(self._stop())
            self._thread.stop()


DROPS = "uvicorn drops what comes in one segment with the request"
OURS = {
    "a_request_that_does_not_come_is_408": "uvicorn reads the request; it waits for the rest of one without a limit",
}
HTTPTOOLS = {**OURS, "bytes_behind_the_handshake_are_not_lost": f"{DROPS}: httptools keeps none of it, as h11 does"}
FRAMES = "ASGI leaves frames to the host: pings, pongs, fragments and what breaks a rule"
ENDS = "the host closes by itself: at once at a Close, before the application has seen what came before it"
HEADS = "uvicorn and the websockets library read and judge the request"
EVENTS = {
    **OURS,
    "bytes_behind_the_handshake_are_not_lost": DROPS,
    **dict.fromkeys(
        ("drain_closes_all_with_1001", "drain_does_not_wait_for_ever", "a_function_is_drained"),
        "uvicorn closes by itself, with 1012, and then the connection at once",
    ),
    "a_function_takes_pieces": "ASGI delivers whole messages: the host has all of it in memory",
    **dict.fromkeys(
        (
            *("a_heartbeat_is_a_pong", "a_pong_is_noticed", "a_silent_peer_is_given_up", "an_idle_peer_is_pinged"),
            *("an_async_iterator_is_sent_in_fragments", "an_iterable_is_sent_in_fragments", "fragments_are_limited"),
            *("an_error_in_ponged_is_1011", "what_comes_at_once_is_answered_in_order"),
            *("violations_are_answered_by_their_code", "tls_ends_well"),
        ),
        FRAMES,
    ),
    **dict.fromkeys(
        (
            *(
                "a_close_frame_gets_through_a_peer_that_goes_on_sending",
                "a_close_that_is_not_answered_ends_all_the_same",
            ),
            *("the_peer_closes", "the_server_closes_without_a_code", "a_function_answers_what_came_before_the_end"),
        ),
        ENDS,
    ),
    **dict.fromkeys(
        ("a_connection_that_ends_is_1006", "a_connection_that_is_reset_is_1006", "tls_may_be_lost"),
        "uvicorn says 1005 when the peer is lost, as when it closes without a code",
    ),
    **dict.fromkeys(("a_wrong_version_is_426", "a_body_is_refused", "a_head_that_is_too_large_is_431"), HEADS),
}


class UvicornServer(ServerRow):
    """`server.uvicorn`: uvicorn with our frames, and a `WebSocketApplication`."""

    name = "uvicorn, our frames"
    needs = ("uvicorn",)
    async_hooks = True
    functions = True
    send_blocks = False
    leaves_out: ClassVar[Mapping[str, str]] = OURS

    def start(self, options: Options) -> RunningServer:
        return _Server(options, asyncio.new_event_loop, http="h11", ws="ws4py_ng.server.uvicorn:WSProtocol")


class UvicornFastServer(UvicornServer):
    """The same with httptools, on uvloop."""

    name = "uvicorn, our frames, httptools, uvloop"
    needs = ("uvicorn", "httptools", "uvloop")
    leaves_out: ClassVar[Mapping[str, str]] = HTTPTOOLS

    def start(self, options: Options) -> RunningServer:
        import uvloop

        return _Server(options, uvloop.new_event_loop, http="httptools", ws="ws4py_ng.server.uvicorn:WSProtocol")


class AsgiServer(UvicornServer):
    """`server.asgi` by events, under uvicorn with the websockets library."""

    name = "ASGI events (uvicorn)"
    deflates = False
    leaves_out: ClassVar[Mapping[str, str]] = EVENTS

    def start(self, options: Options) -> RunningServer:
        return _Server(options, asyncio.new_event_loop, http="h11", ws="websockets-sansio")


ROWS: list[Row] = [UvicornServer(), UvicornFastServer(), AsgiServer()]
