"""What is counted, without a network; and that Prometheus' own parser understands it."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ws4py_ng.client import WebSocketBaseClient
from ws4py_ng.limits import Limits
from ws4py_ng.metrics import LATENCIES, MAX_CODES, Figures, Meter, metered, render
from ws4py_ng.testing import pair
from ws4py_ng.websocket import EchoWebSocket


class Quiet(WebSocketBaseClient):
    """Say nothing by itself."""


def samples(workers: dict[str, Figures]) -> dict[tuple[str, ...], float]:
    """Parse what is rendered: by name and the values of the labels."""
    return {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(render(workers))
        for each in family.samples
    }


def test_messages_and_the_bytes_of_their_payloads_are_counted() -> None:
    meter = Meter()
    joined = pair(metered(EchoWebSocket, meter), Quiet)
    joined.run_until_idle()
    joined.client.send("Grüße")
    joined.client.send(iter([b"ab", b"c"]), binary=True)
    joined.close(4001)
    found = meter.figures([])
    assert (1, 2, 2) == (found.opened, found.messages_in, found.messages_out)
    assert (10, 10) == (found.bytes_in, found.bytes_out)
    assert {"4001": 1} == found.closes


def test_a_class_keeps_its_name_and_others_are_not_touched() -> None:
    made = metered(EchoWebSocket, Meter())
    assert ("EchoWebSocket", EchoWebSocket.__module__) == (made.__name__, made.__module__)
    assert made is not EchoWebSocket
    assert issubclass(made, EchoWebSocket)


def test_the_latency_of_pings_is_a_histogram() -> None:
    meter = Meter()
    for latency in (0.0005, 0.003, 0.003, 99.0):
        meter.ponged(latency)
    found = samples({"0": meter.figures([])})
    name = "ws4py_ng_ping_latency_seconds"
    assert [1, 1, 3] == [found[f"{name}_bucket", "0", str(bound)] for bound in LATENCIES[:3]]
    assert (3, 4, 4) == (
        found[f"{name}_bucket", "0", str(LATENCIES[-1])],
        found[f"{name}_bucket", "0", "+Inf"],
        found[f"{name}_count", "0"],
    )
    assert pytest.approx(99.0065) == found[f"{name}_sum", "0"]


def test_a_peer_cannot_make_up_labels_without_end() -> None:
    meter = Meter()
    for code in range(3000, 5000):
        meter.closed(code)
    assert MAX_CODES + 1 == len(meter.closes)
    assert 2000 - MAX_CODES == meter.closes["other"]


def test_figures_are_summed_and_who_has_ended_keeps_its_counters() -> None:
    one = Figures(connections=3, opened=5, closes={"1000": 2}, starts=1)
    other = Figures(connections=1, opened=1, closes={"1000": 1, "1006": 1}, starts=1, bus_connected=0)
    total = one.counters() + other
    assert (1, 6, 2, 0) == (total.connections, total.opened, total.starts, total.bus_connected)
    assert {"1000": 3, "1006": 1} == total.closes


def test_what_is_0_stays_when_figures_are_summed() -> None:
    one = Figures(hub_dropped={"close": 0, "conflate": 1}).counters() + Figures(hub_dropped={"close": 0, "conflate": 0})
    assert {"close": 0, "conflate": 1} == one.hub_dropped


def test_every_figure_is_shown() -> None:
    values: dict[str, Any] = {name: 7 for name, value in vars(Figures()).items() if isinstance(value, int | float)}
    figures = Figures(**values, closes={"1000": 7}, hub_dropped={"close": 7}, latencies=[7] * (len(LATENCIES) + 1))
    shown = [value for key, value in samples({"a": figures}).items() if "_bucket" not in key[0]]
    assert len(values) + 2 + 1 == len(shown)
    assert {7.0, 7.0 * (len(LATENCIES) + 1)} == set(shown)


def test_an_answer_to_a_ping_is_counted_once() -> None:
    meter = Meter()
    joined = pair(metered(EchoWebSocket, meter), Quiet, limits=Limits(ping_interval=5))
    joined.run_until_idle()
    joined.advance(6)
    assert 1 == sum(meter.latencies)
