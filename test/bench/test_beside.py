"""The comparison beside one that never reads: its arithmetic, and that it is behind while the others get all."""

from __future__ import annotations

import argparse
import random

import pytest

from . import beside
from .beside import CLOSER, compare, measure, quantile
from .hearing import HOSTS, MAX_PENDING


def test_a_quantile_is_one_of_the_samples() -> None:
    samples = [float(each) for each in range(100)]
    assert [0.0, 50.0, 99.0, 99.0] == [quantile(samples, q) for q in (0.0, 0.5, 0.99, 1.0)]


def test_what_doubles_is_told_from_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "RESAMPLES", 100)
    source = random.Random(7)
    rounds = [[source.uniform(900, 1100) for _ in range(200)] for _ in range(20)]
    twice = [[2.5 * each for each in samples] for samples in rounds]
    same, doubled = compare(rounds[::2], rounds[1::2])["p99"], compare(rounds, twice)["p99"]
    assert same["interval"][0] <= 1.0 <= same["interval"][1] < 1.1
    assert 2.5 == doubled["ratio"]
    assert doubled["interval"][0] > 2


@pytest.mark.parametrize("host", HOSTS)
def test_who_never_reads_is_behind_in_bounds_and_all_others_get_everything(host: str) -> None:
    options = {"host": host, "policy": "drop_oldest", "connections": CLOSER + 10, "rounds": 1, "publishes": 10}
    figures = measure(argparse.Namespace(**options, count=True))
    assert figures["dropped"]["drop_oldest"] > 0
    # What its transport takes and what the hub keeps, and the last message beyond each; the kernel may have found room.
    assert 0 < figures["most_bytes_held_for_it"] < 2 * (MAX_PENDING + 11_000)
    assert 10 * CLOSER <= figures["counts"]["B"]["send"]
