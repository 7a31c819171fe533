from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vkprovider.wire.lines import LineSplitter


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b""]), max_size=30))
def test_whatever_the_pieces_the_lines_are_the_same(pieces: list[bytes]):
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    rest = splitter.rest()
    assert b"\n" not in rest
    assert b"".join(lines) + rest == b"".join(pieces)
    assert splitter.rest() == b""


def test_a_line_is_given_as_soon_as_it_is_complete():
    splitter = LineSplitter()
    assert list(splitter.feed(b"one\ntw")) == [b"one\n"]
    assert list(splitter.feed(b"o")) == []
    assert list(splitter.feed(b"\n\n")) == [b"two\n", b"\n"]
