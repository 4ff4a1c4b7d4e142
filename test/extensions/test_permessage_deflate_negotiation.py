"""permessage-deflate, negotiation (RFC 7692 7.1): offers, answers and who refuses what."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import FrozenInstanceError
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_ng.extensions import Extension, PerMessageDeflate, PerMessageDeflateFactory
from ws4py_ng.extensions.header import format_extension, parse_extensions

pytestmark = pytest.mark.usefixtures("chosen")

Settings: TypeAlias = dict[str, Any]

# What the server sends or receives with: own bits, own forgets, peer bits, peer forgets.
Codec: TypeAlias = tuple[int, bool, int, bool]

SNC, CNC = "server_no_context_takeover", "client_no_context_takeover"
SB, CB = "server_max_window_bits", "client_max_window_bits"


def read(text: str) -> list[tuple[str, str | None]]:
    """Read parameters as they stand in a header."""
    return parse_extensions([f"x; {text}" if text else "x"])[0][1]


def written(params: list[tuple[str, str | None]]) -> str:
    """Write parameters as they stand in a header."""
    return format_extension("x", params).removeprefix("x").removeprefix("; ")


def settings_of(codec: PerMessageDeflate) -> Codec:
    return (
        codec.own_window_bits,
        codec.own_no_context_takeover,
        codec.peer_window_bits,
        codec.peer_no_context_takeover,
    )


# Server's settings, offer, answer, codec.
ACCEPTED: list[tuple[Settings, str, str, Codec]] = [
    # By default 12 bits both ways; who cannot be limited has to do without context.
    ({}, CB, f"{SB}=12; {CB}=12", (12, False, 12, False)),
    ({}, f"{CB}=15", f"{SB}=12; {CB}=12", (12, False, 12, False)),
    ({}, f"{CB}=10", f"{SB}=12; {CB}=10", (12, False, 10, False)),
    ({}, f"{CB}=8", f"{SB}=12; {CB}=8", (12, False, 8, False)),
    ({}, "", f"{CNC}; {SB}=12", (12, False, 15, True)),
    ({}, f"{SB}=15; {CB}", f"{SB}=12; {CB}=12", (12, False, 12, False)),
    ({}, f"{SB}=9; {CB}", f"{SB}=9; {CB}=12", (9, False, 12, False)),
    ({}, f"{CB}; {SNC}", f"{SNC}; {SB}=12; {CB}=12", (12, True, 12, False)),
    ({}, f"{CB}; {CNC}", f"{CNC}; {SB}=12; {CB}=12", (12, False, 12, True)),
    ({}, f"{SNC}; {CNC}; {SB}=10; {CB}=11", f"{SNC}; {CNC}; {SB}=10; {CB}=11", (10, True, 11, True)),
    # No wish about the client.
    ({CB: None}, "", f"{SB}=12", (12, False, 15, False)),
    ({CB: None}, CB, f"{SB}=12", (12, False, 15, False)),
    ({CB: None}, f"{CB}=10", f"{SB}=12; {CB}=10", (12, False, 10, False)),
    ({CB: 15}, "", f"{SB}=12", (12, False, 15, False)),
    # All that can be had.
    ({SB: 15, CB: 15}, "", "", (15, False, 15, False)),
    ({SB: 15, CB: 15}, CB, "", (15, False, 15, False)),
    ({SB: 15, CB: 15}, f"{SB}=15", f"{SB}=15", (15, False, 15, False)),
    ({SB: 15, CB: 15}, f"{SB}=11; {CB}=13", f"{SB}=11; {CB}=13", (11, False, 13, False)),
    # The server's wishes.
    ({SB: 10}, CB, f"{SB}=10; {CB}=12", (10, False, 12, False)),
    ({SB: 10}, f"{SB}=11; {CB}", f"{SB}=10; {CB}=12", (10, False, 12, False)),
    ({CB: 9}, CB, f"{SB}=12; {CB}=9", (12, False, 9, False)),
    ({CB: 9}, "", f"{CNC}; {SB}=12", (12, False, 15, True)),
    ({SNC: True}, CB, f"{SNC}; {SB}=12; {CB}=12", (12, True, 12, False)),
    ({SNC: True}, f"{SNC}; {CB}", f"{SNC}; {SB}=12; {CB}=12", (12, True, 12, False)),
    ({CNC: True}, CB, f"{CNC}; {SB}=12; {CB}=12", (12, False, 12, True)),
    # A quoted value is the same value.
    ({}, f'{CB}="10"', f"{SB}=12; {CB}=10", (12, False, 10, False)),
]

BAD_BITS = ["7", "16", "99", "0", "-9", "+9", "09", "010", "1e1", "9.0", "x", "1_0", "10" * 2000]

BAD_PARAMS = [
    "x_unknown",
    "x_unknown=1",
    SNC.upper(),
    f"{SNC}; {SNC}",
    f"{CNC}; {CNC}",
    f"{SB}=10; {SB}=10",
    f"{CB}=10; {CB}=10",
    f"{SNC}=1",
    f"{SNC}=true",
    f"{CNC}=0",
    SB,
    *[f"{name}={value}" for name in (SB, CB) for value in BAD_BITS],
]
BAD_OFFERS = [*BAD_PARAMS, f"{CB}; {CB}=10", f"{SB}=8", f"{SB}=8; {CB}", f"{SNC}; x_unknown"]
BAD_ANSWERS = [*BAD_PARAMS, CB]

# Client's settings, offer.
OFFERS: list[tuple[Settings, str]] = [
    ({}, CB),
    ({CB: None}, ""),
    ({CB: 10}, f"{CB}=10"),
    ({CB: 8}, f"{CB}=8"),
    ({SB: 8, CB: None}, f"{SB}=8"),
    ({SNC: True, CNC: True, SB: 10, CB: 11}, f"{SNC}; {CNC}; {SB}=10; {CB}=11"),
]

# Client's settings, server's answer, codec.
CONFIRMED: list[tuple[Settings, str, Codec]] = [
    ({}, "", (12, False, 15, False)),
    ({}, f"{SB}=12; {CB}=12", (12, False, 12, False)),
    ({}, f"{SB}=8", (12, False, 8, False)),
    ({}, f"{CB}=15", (12, False, 15, False)),
    ({}, f"{CB}=9", (9, False, 15, False)),
    ({}, f"{CB}=8", (8, False, 15, False)),
    ({}, f"{SNC}; {CNC}", (12, True, 15, True)),
    ({CB: None}, f"{SB}=15", (12, False, 15, False)),
    ({CB: 15}, "", (15, False, 15, False)),
    ({CB: 15}, f"{CB}=13", (13, False, 15, False)),
    ({CB: 10}, "", (10, False, 15, False)),
    ({CB: 10}, f"{CB}=10", (10, False, 15, False)),
    ({SB: 10}, f"{SB}=10", (12, False, 10, False)),
    ({SB: 10}, f"{SB}=9; {CB}=9", (9, False, 9, False)),
    ({SNC: True}, SNC, (12, False, 15, True)),
    ({CNC: True}, "", (12, True, 15, False)),
    ({CNC: True}, CNC, (12, True, 15, False)),
]

# Client's settings, server's answer, what the error says.
UNCONFIRMED: list[tuple[Settings, str, str]] = [
    ({SB: 10}, f"{SB}=11", f"{SB} of at most 10, as offered, got 11"),
    ({SB: 10}, "", f"{SB} in the answer, as offered"),
    ({SNC: True}, "", f"{SNC} in the answer, as offered"),
    ({SNC: True}, CNC, f"{SNC} in the answer, as offered"),
    ({CB: None}, f"{CB}=15", f"no {CB}, which was not offered, got 15"),
    ({CB: 10}, f"{CB}=11", f"{CB} of at most 10, as offered, got 11"),
    ({}, "x_unknown", "a parameter of permessage-deflate, got 'x_unknown'"),
    ({}, f"{SB}=9; {SB}=9", f"{SB} once"),
    ({}, f"{SB}=16", f"{SB} with 8 to 15, got '16'"),
    ({}, f"{SNC}=1", f"{SNC} with no value, got '1'"),
    ({}, CB, f"{CB} with 8 to 15, got None"),
]

BAD_SETTINGS = [
    ({SB: 7}, f"{SB} is 7, expected 8 to 15"),
    ({SB: 16}, f"{SB} is 16, expected 8 to 15"),
    ({SB: True}, f"{SB} is True, expected 8 to 15"),
    ({CB: 7}, f"{CB} is 7, expected 8 to 15"),
    ({CB: 16}, f"{CB} is 16, expected 8 to 15"),
    ({CB: False}, f"{CB} is False, expected 8 to 15"),
    ({"level": 10}, "level is 10, expected 0 to 9"),
    ({"level": -1}, "level is -1, expected 0 to 9"),
    ({"mem_level": 0}, "mem_level is 0, expected 1 to 9"),
    ({"mem_level": 10}, "mem_level is 10, expected 1 to 9"),
    ({"threshold": -1}, "threshold is -1, expected 0 or more"),
]


@pytest.mark.parametrize(("settings", "offer", "answer", "codec"), ACCEPTED)
def test_server_answers_what_applies(settings: Settings, offer: str, answer: str, codec: Codec) -> None:
    accepted = PerMessageDeflateFactory(**settings).accept(read(offer))
    assert accepted is not None
    assert (answer, codec) == (written(accepted[0]), settings_of(accepted[1]))


@pytest.mark.parametrize("offer", BAD_OFFERS)
def test_server_declines_what_it_cannot_honour(offer: str) -> None:
    assert PerMessageDeflateFactory().accept(read(offer)) is None


def test_server_that_is_told_to_use_eight_bits_itself_declines() -> None:
    assert PerMessageDeflateFactory(server_max_window_bits=8).accept(read(CB)) is None


@pytest.mark.parametrize(("settings", "offer"), OFFERS)
def test_client_offers_what_it_is_set_to(settings: Settings, offer: str) -> None:
    assert offer == written(PerMessageDeflateFactory(**settings).offer())


@pytest.mark.parametrize(("settings", "answer", "codec"), CONFIRMED)
def test_client_obeys_the_answer(settings: Settings, answer: str, codec: Codec) -> None:
    assert codec == settings_of(PerMessageDeflateFactory(**settings).confirm(read(answer)))


@pytest.mark.parametrize("answer", BAD_ANSWERS)
@pytest.mark.parametrize("settings", [{}, {SNC: True, CNC: True, SB: 15, CB: 15}])
def test_client_refuses_an_answer_that_no_offer_allows(settings: Settings, answer: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PerMessageDeflateFactory(**settings).confirm(read(answer))


@pytest.mark.parametrize(("settings", "answer", "error"), UNCONFIRMED)
def test_client_refuses_an_answer_to_another_offer(settings: Settings, answer: str, error: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        PerMessageDeflateFactory(**settings).confirm(read(answer))
    assert f"expected {error}" in str(caught.value)


def test_an_error_quotes_little_of_a_long_value() -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        PerMessageDeflateFactory().confirm([(SB, "9" * 9000)])
    assert 150 > len(str(caught.value))


@pytest.mark.parametrize(("settings", "error"), BAD_SETTINGS)
def test_settings_out_of_range_are_named(settings: Settings, error: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        PerMessageDeflateFactory(**settings)
    assert error == str(caught.value)


def test_settings_of_compression_reach_the_codec_in_both_roles() -> None:
    factory = PerMessageDeflateFactory(level=1, mem_level=2, threshold=3)
    accepted = factory.accept([])
    assert accepted is not None
    for codec in (accepted[1], factory.confirm([])):
        assert (1, 2, 3) == (codec.level, codec.mem_level, codec.threshold)


def test_a_factory_is_a_value() -> None:
    factory = PerMessageDeflateFactory()
    assert PerMessageDeflateFactory() == factory
    assert "permessage-deflate" == factory.name
    with pytest.raises(FrozenInstanceError):
        factory.level = 1  # type: ignore[misc]


def test_the_codec_is_an_extension_on_rsv1() -> None:
    codec: Extension = PerMessageDeflate()
    assert ("permessage-deflate", 0x40) == (codec.name, codec.rsv)


BITS = st.integers(8, 15)
FACTORIES = st.builds(
    PerMessageDeflateFactory,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.none() | BITS,
    client_max_window_bits=st.none() | st.just(True) | BITS,
    level=st.integers(0, 9),
    mem_level=st.integers(1, 9),
    threshold=st.integers(0, 200),
)


@given(FACTORIES, FACTORIES, st.lists(st.binary(max_size=600), max_size=5))
def test_our_client_and_our_server_agree_or_the_server_declines(
    client: PerMessageDeflateFactory, server: PerMessageDeflateFactory, payloads: list[bytes]
) -> None:
    accepted = server.accept(client.offer())
    if accepted is None:
        assert 8 in (client.server_max_window_bits, server.server_max_window_bits)
        return
    answer, ours = accepted
    theirs = client.confirm(answer)
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        assert sender.own_window_bits <= receiver.peer_window_bits
        assert sender.own_no_context_takeover or not receiver.peer_no_context_takeover
        for payload in payloads * 2:
            if sender.should_compress(max(len(payload), sender.threshold)):
                assert payload == receiver.decompress(sender.compress(payload), True, len(payload))


PARAMS = st.lists(st.tuples(st.sampled_from([SNC, CNC, SB, CB, "x"]), st.none() | st.text(max_size=3)), max_size=5)


@given(PARAMS)
def test_any_parameters_are_taken_or_refused(params: list[tuple[str, str | None]]) -> None:
    PerMessageDeflateFactory().accept(params)
    with suppress(ValueError):
        PerMessageDeflateFactory().confirm(params)
