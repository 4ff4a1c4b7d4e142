"""The recordings of Chromium and of hand-made clients: each class does again what it did, byte by byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from test.recordings.make import HERE, make
from test.recordings.scenes import SCENES
from ws4py_ng.capture import read, replay
from ws4py_ng.capture.cuts import SPLITS
from ws4py_ng.limits import DEFAULT_LIMITS

# Longer ones are cut at random instead: each run costs as much as the recording is long.
EVERY_SPLIT = 2000


def recording(name: str) -> Path:
    return HERE / f"{name}.wscap.gz"


@pytest.mark.parametrize("splits", SPLITS)
@pytest.mark.parametrize("name", SCENES)
def test_a_recording_replays_byte_by_byte(name: str, splits) -> None:
    scene = SCENES[name]
    found = read(recording(name))
    assert [] == found.problems
    if splits == "every" and len(found.connection().incoming()) > EVERY_SPLIT:
        splits = "random"
    limits = scene.options.get("limits", DEFAULT_LIMITS)
    result = replay(found, scene.app, splits=splits, limits=limits).check()
    assert len(result.hooks) >= 2
    assert result.ending is not None


@pytest.mark.parametrize(
    ("name", "code", "clean"),
    [
        ("text", 1000, True),
        ("binary", 1005, True),
        ("close_by_browser", 4001, True),
        ("close_by_server", 4002, True),
        ("violation_by_server", 1002, True),
        ("violation_by_client", 1002, False),
        ("violation_utf8", 1007, False),
        ("page_crash", 1001, True),
        ("abrupt_kill", 1006, False),
        ("abrupt_reset", 1006, False),
    ],
)
def test_a_recording_shows_what_it_is_there_for(name: str, code: int, clean: bool) -> None:
    ending = replay(recording(name), SCENES[name].app).ending
    assert ending is not None
    assert (code, clean) == (ending.code, ending.clean)


@pytest.mark.parametrize("name", [name for name in SCENES if name.startswith("deflate")])
def test_the_parameters_of_deflate_are_what_the_browser_agreed_to(name: str) -> None:
    conversation = replay(recording(name), SCENES[name].app).conversation
    parameter = name.removeprefix("deflate_")
    agreed = dict(conversation.deflate or ())
    assert parameter in agreed or name == "deflate"
    assert b"\xc1" in {data[:1] for data in map(bytes, (chunk.data for chunk in conversation.chunks))}


def test_each_recording_is_described() -> None:
    page = (HERE / "README.md").read_text("utf-8")
    assert [] == [name for name, scene in SCENES.items() if f"| `{name}` | {scene.about} |" not in page]
    assert sorted(SCENES) == sorted(path.name.partition(".")[0] for path in HERE.glob("*.wscap.gz"))


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no `chromium`: apt-get install -y chromium")
def test_the_chromium_of_today_replays_as_well(tmp_path: Path) -> None:
    names = ["text", "binary", "deflate"]
    make(names, tmp_path)
    for name in names:
        for splits in SPLITS[:3]:
            replay(tmp_path / f"{name}.wscap.gz", SCENES[name].app, splits=splits).check()
