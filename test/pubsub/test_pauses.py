"""A broker that is away is tried again ever more seldom, one that was well at once."""

from __future__ import annotations

import pytest

from ws4py_ng.pubsub import pauses
from ws4py_ng.pubsub.pauses import Pauses


@pytest.mark.parametrize(
    ("lasted", "expected"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]),
        ([1, 1, 1], [0.1, 0.2, 0.4]),  # it let us in, and took nothing
        ([0, 0, 60, 0], [0.1, 0.2, 0.1, 0.2]),
        ([60, 60], [0.1, 0.1]),
    ],
)
def test_pauses(lasted: list[float], expected: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses.random, "uniform", lambda low, high: high)
    now = 0.0
    waits = Pauses(lambda: now)
    found = []
    for seconds in lasted:
        waits.begin()
        now += seconds
        found.append(waits.end())
    assert expected == pytest.approx(found)
