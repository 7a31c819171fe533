from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.wire.resizes import LARGEST, ResizeReader, TerminalSize

TWO = b'{"Width":80,"Height":24}\n{"Width":200,"Height":50}\n'


@pytest.mark.parametrize("cut", range(len(TWO) + 1))
def test_split_at_every_byte(cut: int):
    reader = ResizeReader()
    assert [*reader.feed(TWO[:cut]), *reader.feed(TWO[cut:])] == [TerminalSize(80, 24), TerminalSize(200, 50)]


@pytest.mark.parametrize(
    "wrong",
    [
        b"{}",
        b"nonsense}",
        b'{"Width":80}',
        b'{"Width":"80","Height":24}',
        b'{"Width":true,"Height":24}',
        b'{"Width":-1,"Height":24}',
        b'{"Width":65536,"Height":24}',
        b'[{"Width":1,"Height":2}',
        b"x" * (LARGEST + 1),
    ],
)
def test_what_is_no_size_ends_it(wrong: bytes):
    reader = ResizeReader()
    assert reader.feed(wrong) == []
    assert reader.feed(TWO) == []


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_sizes_or_nothing(pieces: list[bytes]):
    reader = ResizeReader()
    for size in (size for piece in pieces for size in reader.feed(piece)):
        assert 0 <= size.width <= 65535
        assert 0 <= size.height <= 65535
