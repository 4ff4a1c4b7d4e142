"""Limits: on by default, refused when they make no sense."""

from __future__ import annotations

import re
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from ws4py_ng import limits
from ws4py_ng.limits import DEFAULT_LIMITS, Limits

TIMES = [field.name for field in fields(Limits) if field.name.endswith(("timeout", "interval"))]
SIZES = [field.name for field in fields(Limits) if field.name not in TIMES]
DERIVED = ["max_frame_size", "max_fragments"]


def test_every_limit_is_on_by_default() -> None:
    assert sorted(DERIVED) == sorted(name for name in TIMES + SIZES if getattr(DEFAULT_LIMITS, name) is None)
    assert Limits() == DEFAULT_LIMITS


def test_every_limit_has_a_reason() -> None:
    lines = Path(limits.__file__).read_text().splitlines()
    for name in TIMES + SIZES:
        (place,) = [i for i, line in enumerate(lines) if line.startswith(f"    {name}: ")]
        assert lines[place + 1].startswith('    """'), name


@pytest.mark.parametrize("name", TIMES)
def test_a_time_can_be_switched_off(name: str) -> None:
    assert getattr(Limits(**{name: None}), name) is None


@pytest.mark.parametrize("name", DERIVED)
def test_a_limit_that_follows_from_another_can_be_left_to_it(name: str) -> None:
    assert getattr(Limits(**{name: None}), name) is None


@pytest.mark.parametrize("name", [name for name in SIZES if name not in DERIVED])
def test_a_size_cannot_be_switched_off(name: str) -> None:
    with pytest.raises(ValueError, match=f"Limits.{name} cannot be None"):
        Limits(**{name: None})


@pytest.mark.parametrize("name", TIMES + SIZES)
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_is_more_than_nothing(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"Limits.{name} is {value}, expected more than 0"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_is_no_number_is_not_more_than_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=f"Limits.{name} is nan, expected more than 0"):
        Limits(**{name: float("nan")})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [float("inf"), 1e12, 10**9 + 1])
def test_a_time_is_not_longer_than_a_socket_can_wait(name: str, value: float) -> None:
    assert 1e9 == getattr(Limits(**{name: 1e9}), name)
    said = f"Limits.{name} is {value!r}, expected at most 1000000000, or None"
    with pytest.raises(ValueError, match=re.escape(said)):
        Limits(**{name: value})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", ["1", True, [1]], ids=repr)
def test_a_time_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"Limits.{name} is {value!r}, expected seconds")):
        Limits(**{name: value})


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", ["1", True, 1e6, 10.5, float("nan")], ids=repr)
def test_a_size_is_an_int(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"Limits.{name} is {value!r}, expected an int")):
        Limits(**{name: value})


@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_not_larger_than_memory_can_be(name: str) -> None:
    assert sys.maxsize == getattr(Limits(**{name: sys.maxsize}), name)
    with pytest.raises(ValueError, match=f"Limits.{name} is {sys.maxsize + 1}, expected at most"):
        Limits(**{name: sys.maxsize + 1})


def test_limits_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULT_LIMITS.max_message_size = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "frame", "fragments"),
    [
        ({}, 1 << 20, 65536),
        ({"max_message_size": 100}, 100, 1024),
        ({"max_message_size": 1 << 24}, 1 << 24, 1 << 20),
        ({"max_frame_size": 10}, 10, 65536),
        ({"max_frame_size": 1 << 30}, 1 << 20, 65536),
        ({"max_fragments": 3}, 1 << 20, 3),
        # A header and the payload behind it have to be counted in 63 bits.
        ({"max_message_size": sys.maxsize}, 1 << 62, sys.maxsize // 16),
    ],
)
def test_budgets_follow_from_the_limits(options: Any, frame: int, fragments: int) -> None:
    found = Limits(**options)
    assert (frame, fragments) == (found.frame_budget, found.fragment_budget)
