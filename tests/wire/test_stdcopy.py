from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.wire.stdcopy import LARGEST, STDERR, STDOUT, SYSTEM_ERROR, Deframer, Frame, FramingError

FRAMES = [Frame(STDOUT, b"hello\n"), Frame(STDERR, b""), Frame(STDERR, bytes(range(256))), Frame(SYSTEM_ERROR, b"x")]


def written(frames: list[Frame]) -> bytes:
    return b"".join(struct.pack(">BxxxI", stream, len(payload)) + payload for stream, payload in frames)


def read(*pieces: bytes) -> list[Frame]:
    deframer = Deframer()
    frames = [frame for piece in pieces for frame in deframer.feed(piece)]
    deframer.finish()
    return frames


def test_bytes_as_the_daemon_writes_them():
    assert read(b"\x01\x00\x00\x00\x00\x00\x00\x03one\x02\x00\x00\x00\x00\x00\x00\x03two") == [
        Frame(STDOUT, b"one"),
        Frame(STDERR, b"two"),
    ]


def test_split_at_every_byte():
    whole = written(FRAMES)
    for cut in range(len(whole) + 1):
        assert read(whole[:cut], whole[cut:]) == FRAMES


def test_byte_by_byte():
    assert read(*(bytes([byte]) for byte in written(FRAMES))) == FRAMES


def test_a_frame_is_given_as_soon_as_it_is_complete():
    deframer = Deframer()
    whole = written(FRAMES)
    assert list(deframer.feed(whole[:13])) == []
    assert list(deframer.feed(whole[13:14])) == FRAMES[:1]


@given(
    st.lists(st.builds(Frame, st.integers(0, 3), st.binary(max_size=40)), max_size=8),
    st.lists(st.integers(0, 400), max_size=10),
)
def test_any_frames_in_any_pieces(frames: list[Frame], cuts: list[int]):
    whole = written(frames)
    at = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    assert read(*(whole[a:b] for a, b in itertools.pairwise(at))) == frames


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_an_error(data: bytes):
    try:
        frames = read(data)
    except FramingError:
        return
    assert sum(8 + len(frame.payload) for frame in frames) == len(data)


@pytest.mark.parametrize("header", [struct.pack(">BxxxI", 4, 1), struct.pack(">BxxxI", STDOUT, LARGEST + 1)])
def test_what_cannot_be_a_frame(header: bytes):
    with pytest.raises(FramingError, match="no frame"):
        read(header)


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_stream_that_is_cut_short(cut: int):
    with pytest.raises(FramingError, match="within a frame"):
        read(written(FRAMES[:1])[:cut])
