"""Keys and what answers them."""

from __future__ import annotations

import pytest

from ws4py_ng.handshake.keys import accept_for, is_key, new_key


def test_the_example_of_rfc_6455_is_answered_as_it_says() -> None:
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" == accept_for("dGhlIHNhbXBsZSBub25jZQ==")


def test_a_key_is_16_random_bytes_in_base64() -> None:
    assert "AAECAwQFBgcICQoLDA0ODw==" == new_key(lambda size: bytes(range(size)))
    keys = {new_key() for _ in range(100)}
    assert 100 == len(keys)
    assert all(map(is_key, keys))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "dGhlIHNhbXBsZQ==",  # 10 bytes
        "dGhlIHNhbXBsZSBub25jZTE=",  # 17 bytes
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ==\n",
        " dGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZ-==",
        "dGhlIHNhbXBsZSBub25jZé==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ],
)
def test_what_is_not_16_bytes_in_base64_is_no_key(text: str) -> None:
    assert not is_key(text)
