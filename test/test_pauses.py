"""What is away is tried again ever more seldom, what was well at once."""

from __future__ import annotations

import pytest

from ws4py_ng.pauses import Pauses


@pytest.mark.parametrize(
    ("lasted", "expected"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0], [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]),
        ([1, 1, 1], [0.1, 0.2, 0.4]),  # it let us in, and took nothing
        ([0, 0, 60, 0], [0.1, 0.2, 0.1, 0.2]),
        ([60, 60], [0.1, 0.1]),
    ],
)
def test_pauses(lasted: list[float], expected: list[float]) -> None:
    pauses = Pauses(5.0)
    assert expected == pytest.approx([pauses.after(seconds) for seconds in lasted])
