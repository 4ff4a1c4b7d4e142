"""Masking keys: fresh from the system, each handed out once, in a child process as well."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from ws4py_ng._core import mask_keys


def test_no_key_is_handed_out_twice() -> None:
    keys = [mask_keys.fresh_mask_key() for _ in range(5000)]
    assert {4} == {len(key) for key in keys}
    assert len(set(keys)) > 4990  # 5,000 of 2**32: a pair in 350 runs


def test_every_key_is_of_the_randomness_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def urandom(size: int) -> bytes:
        drawn.append(os.getrandom(size))
        return drawn[-1]

    monkeypatch.setattr(mask_keys.os, "urandom", urandom)
    mask_keys._pool.clear()
    keys = [mask_keys.fresh_mask_key() for _ in range(2048)]
    pieces = [data[i : i + 4] for data in drawn for i in range(0, len(data), 4)]
    assert sorted(pieces) == sorted(keys)
    assert 2 == len(drawn)


def test_threads_share_the_pool_and_no_key() -> None:
    keys: list[bytes] = []

    def draw() -> None:
        keys.extend([mask_keys.fresh_mask_key() for _ in range(2000)])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) > 7980


def test_a_child_process_has_keys_of_its_own() -> None:
    program = """
        import os
        from ws4py_ng._core.mask_keys import fresh_mask_key
        fresh_mask_key()
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, b"".join(fresh_mask_key() for _ in range(100)))
            os._exit(0)
        os.wait()
        child = os.read(read, 400)
        theirs = {child[i : i + 4] for i in range(0, 400, 4)}
        print(len(theirs), len(theirs & {fresh_mask_key() for _ in range(1000)}))
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "100 0\n" == run.stdout
