from __future__ import annotations

import itertools
import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.wire import spdy
from vkprovider.wire.spdy import (
    Data,
    Frame,
    FrameReader,
    FrameWriter,
    GoAway,
    Headers,
    Ping,
    RstStream,
    Settings,
    SpdyError,
    SynReply,
    SynStream,
    WindowUpdate,
)
from vkprovider.wire.spdy_headers import DICTIONARY, LARGEST_BLOCK

# As github.com/moby/spdystream v0.5.0 wrote them, one after the other on one connection.
VECTORS: list[tuple[str, Frame]] = [
    (
        "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff",
        SynStream(1, {"streamtype": "error"}),
    ),
    (
        "80030001010000170000000300000000a000c22e555c92929907000000ffff",
        SynStream(3, {"streamtype": "stdin"}, fin=True, priority=5),
    ),
    ("800300020000000e000000016260606000000000ffff", SynReply(1, {})),
    ("800300080000001500000003824ab314e417815239938501000000ffff", Headers(3, {"port": "80"})),
    ("000000030100000568656c6c6f", Data(3, b"hello", fin=True)),
    ("80030003000000080000000300000005", RstStream(3, spdy.CANCEL)),
    ("800300060000000400000001", Ping(1)),
    ("80030007000000080000000700000000", GoAway(7)),
    ("80030009000000080000000300010000", WindowUpdate(3, 65536)),
    ("800300040000000c000000010100000700010000", Settings(((1, 7, 65536),))),
]
WHOLE = b"".join(bytes.fromhex(text) for text, _ in VECTORS)
MEANT = [frame for _, frame in VECTORS]


def read(*pieces: bytes) -> list[Frame]:
    """The frames, with the pieces of data frames put together again."""
    reader, frames = FrameReader(), list[Frame]()
    open_data: Data | None = None
    for frame in (frame for piece in pieces for frame in reader.feed(piece)):
        if isinstance(frame, Data) and open_data is not None:
            open_data = frame._replace(payload=open_data.payload + frame.payload)
            frames[-1] = open_data
        else:
            frames.append(frame)
            open_data = frame if isinstance(frame, Data) else None
        if open_data is not None and open_data.fin:
            open_data = None
    return frames


def test_spdystreams_bytes_are_understood():
    assert read(WHOLE) == MEANT


def test_our_bytes_mean_the_same():
    writer = FrameWriter()
    assert read(b"".join(writer.write(frame) for frame in MEANT)) == MEANT


@pytest.mark.parametrize("index", [i for i, (text, _) in enumerate(VECTORS) if "ffff" not in text])
def test_frames_without_headers_are_the_same_bytes(index: int):
    text, frame = VECTORS[index]
    assert FrameWriter().write(frame).hex() == text


def test_split_at_every_byte():
    for cut in range(len(WHOLE) + 1):
        assert read(WHOLE[:cut], WHOLE[cut:]) == MEANT


def test_byte_by_byte():
    assert read(*(bytes([byte]) for byte in WHOLE)) == MEANT


def test_data_is_given_as_it_comes():
    reader = FrameReader()
    assert list(reader.feed(struct.pack(">II", 5, spdy.LARGEST_DATA) + b"ab")) == [Data(5, b"ab")]
    assert list(reader.feed(b"c")) == [Data(5, b"c")]


def test_only_the_last_piece_of_a_last_frame_ends_the_stream():
    reader = FrameReader()
    assert list(reader.feed(struct.pack(">II", 5, 1 << 24 | 2) + b"a")) == [Data(5, b"a")]
    assert list(reader.feed(b"b")) == [Data(5, b"b", fin=True)]
    assert list(reader.feed(struct.pack(">II", 5, 1 << 24))) == [Data(5, b"", fin=True)]


IDS = st.integers(1, (1 << 31) - 1)
WORDS = st.dictionaries(
    st.text("abcdefgh-", min_size=1, max_size=12), st.text(st.characters(codec="latin-1"), max_size=40), max_size=6
)
NUMBERS = st.integers(0, (1 << 32) - 1)
FRAMES = st.one_of(
    st.builds(SynStream, IDS, WORDS, st.booleans(), st.booleans(), IDS, st.integers(0, 7)),
    st.builds(SynReply, IDS, WORDS, st.booleans()),
    st.builds(Headers, IDS, WORDS, st.booleans()),
    st.builds(RstStream, IDS, NUMBERS),
    st.builds(GoAway, IDS, NUMBERS),
    st.builds(WindowUpdate, IDS, NUMBERS),
    st.builds(Ping, NUMBERS),
    st.builds(Data, IDS, st.binary(min_size=1, max_size=60), st.just(True)),
    st.builds(
        Settings,
        st.lists(st.tuples(st.integers(0, 255), st.integers(0, (1 << 24) - 1), NUMBERS), max_size=4).map(tuple),
    ),
)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 1200), max_size=10))
def test_any_frames_in_any_pieces(frames: list[Frame], cuts: list[int]):
    writer = FrameWriter()
    whole = b"".join(writer.write(frame) for frame in frames)
    at = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    assert read(*(whole[a:b] for a, b in itertools.pairwise(at))) == frames


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_an_error(data: bytes):
    try:
        frames = read(data)
    except SpdyError:
        return
    told = sum(len(frame.payload) if isinstance(frame, Data) else 0 for frame in frames)
    assert 8 * len(frames) + told <= len(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(0, len(WHOLE)))
def test_a_wrong_byte_means_the_same_however_it_is_split(at: int, byte: int, cut: int):
    wrong = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    try:
        frames = read(wrong)
    except SpdyError as exc:
        with pytest.raises(SpdyError, match=re.escape(str(exc))):
            read(wrong[:cut], wrong[cut:])
    else:
        assert read(wrong[:cut], wrong[cut:]) == frames


def control(kind: int, body: bytes, version: int = 3) -> bytes:
    return struct.pack(">HHI", 0x8000 | version, kind, len(body)) + body


def block(plain: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    return compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)


def syn(plain: bytes) -> bytes:
    return control(spdy.SYN_STREAM, struct.pack(">IIBB", 1, 0, 0, 0) + block(plain))


def headers(*texts: bytes, count: int | None = None) -> bytes:
    number = len(texts) // 2 if count is None else count
    return struct.pack(">I", number) + b"".join(struct.pack(">I", len(text)) + text for text in texts)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (control(spdy.PING, b"\0\0\0\1", version=2), "unknown frame: version 2"),
        (control(5, b""), "unknown frame: version 3, type 5"),
        (control(spdy.PING, b"\0"), "wrong length"),
        (control(spdy.RST_STREAM, b"\0" * 9), "wrong length"),
        (control(spdy.SETTINGS, b"\0\0\0\2" + b"\0" * 8), "2 settings in 12 bytes"),
        (struct.pack(">II", 0, 1), "data for stream 0"),
        (struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, spdy.LARGEST_CONTROL + 1), "more than 65536"),
        (control(spdy.SYN_REPLY, b"\0\0\0\1no zlib"), "cannot be decompressed"),
        (syn(headers(b"a", b"b", b"A", b"c")), "twice"),
        (syn(headers(b"a", b"b", count=2)), "cut short"),
        (syn(headers(b"a", b"b", count=0)), "goes on"),
        (syn(headers(b"a", count=1) + b"\0\0\0\x09b"), "longer than its block"),
        (syn(headers(count=1000)), "1000 headers"),
        (syn(headers(b"a", bytes(LARGEST_BLOCK))), "more than 65536 bytes"),
    ],
)
def test_what_no_peer_may_send(data: bytes, words: str):
    with pytest.raises(SpdyError, match=words):
        read(data)


def test_little_that_swells_to_much_is_not_unpacked():
    bomb = syn(headers(b"a", bytes(50_000_000)))
    assert len(bomb) < spdy.LARGEST_CONTROL
    with pytest.raises(SpdyError, match="more than"):
        read(bomb)
