from __future__ import annotations

import pytest

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
    SynReply,
    SynStream,
    WindowUpdate,
)
from vkprovider.wire.spdy_session import (
    MOST_STREAMS,
    Answer,
    Ended,
    Event,
    Leaving,
    Opened,
    Received,
    Reset,
    SpdySession,
    StreamGone,
)


class Client:
    """The other end: what it sends becomes events of the session, what the session gives becomes frames."""

    def __init__(self) -> None:
        self.session = SpdySession()
        self._writer = FrameWriter()
        self._reader = FrameReader()

    def send(self, *frames: Frame) -> list[Event]:
        return [event for frame in frames for event in self.session.receive(self._writer.write(frame))]

    def read(self, data: bytes) -> list[Frame]:
        return list(self._reader.feed(data))

    def told(self, events: list[Event]) -> list[Frame]:
        return [frame for event in events if isinstance(event, Answer) for frame in self.read(event.data)]


@pytest.fixture
def client() -> Client:
    """With stream 1 open and accepted."""
    client = Client()
    assert client.send(SynStream(1, {"streamtype": "stdin"})) == [Opened(1, {"streamtype": "stdin"}, fin=False)]
    assert client.read(client.session.accept(1)) == [SynReply(1, {})]
    return client


def test_a_stream_carries_data_both_ways(client: Client):
    assert client.send(Data(1, b"in"), Data(1, b"more")) == [Received(1, b"in"), Received(1, b"more")]
    assert client.read(client.session.send(1, b"out")) == [Data(1, b"out")]


def test_each_half_ends_by_itself(client: Client):
    assert client.send(Data(1, b"last", fin=True)) == [Received(1, b"last"), Ended(1)]
    assert client.read(client.session.send(1, b"still")) == [Data(1, b"still")]
    assert client.read(client.session.end(1)) == [Data(1, b"", fin=True)]
    with pytest.raises(StreamGone):
        client.session.send(1, b"too late")


def test_our_half_may_end_first(client: Client):
    client.session.end(1)
    assert client.session.end(1) == b""
    assert client.send(Data(1, b"still")) == [Received(1, b"still")]
    assert client.send(Headers(1, {}, fin=True)) == [Ended(1)]


def test_what_comes_after_the_end_is_dropped(client: Client):
    client.send(Data(1, b"", fin=True))
    assert client.send(Data(1, b"late"), Data(1, b"", fin=True), Data(99, b"never opened")) == []


def test_a_stream_is_known_until_both_halves_have_ended(client: Client):
    client.send(Data(1, b"", fin=True))
    assert client.session.knows(1)
    client.session.end(1)
    assert not client.session.knows(1)


def test_a_reset_ends_both_halves(client: Client):
    assert client.send(RstStream(1, spdy.CANCEL)) == [Reset(1)]
    assert client.send(RstStream(1, spdy.CANCEL)) == []
    assert client.session.end(1) == b""
    with pytest.raises(StreamGone):
        client.session.send(1, b"x")


def test_our_reset_ends_both_halves(client: Client):
    assert client.read(client.session.reset(1)) == [RstStream(1, spdy.CANCEL)]
    assert client.session.reset(1) == b""
    assert client.send(Data(1, b"late")) == []


def test_a_stream_that_is_opened_and_ended_at_once():
    client = Client()
    assert client.send(SynStream(1, {}, fin=True)) == [Opened(1, {}, fin=True)]
    assert client.send(Data(1, b"after all")) == []
    client.session.accept(1)
    client.session.end(1)
    with pytest.raises(StreamGone):
        client.session.accept(1)


def test_nothing_is_sent_on_a_stream_that_is_one_way():
    client = Client()
    client.send(SynStream(1, {}, unidirectional=True))
    with pytest.raises(StreamGone):
        client.session.accept(1)


@pytest.mark.parametrize("stream_id", [1, 2, 4])
def test_ids_are_odd_and_rise(client: Client, stream_id: int):
    assert client.told(client.send(SynStream(stream_id, {}))) == [RstStream(stream_id, spdy.PROTOCOL_ERROR)]
    assert client.send(SynStream(5, {})) == [Opened(5, {}, fin=False)]
    assert client.told(client.send(SynStream(3, {}))) == [RstStream(3, spdy.PROTOCOL_ERROR)]


def test_more_streams_than_anybody_needs_are_refused():
    client = Client()
    for number in range(MOST_STREAMS):
        assert client.send(SynStream(2 * number + 1, {})) == [Opened(2 * number + 1, {}, fin=False)]
    one_more = 2 * MOST_STREAMS + 1
    assert client.told(client.send(SynStream(one_more, {}))) == [RstStream(one_more, spdy.REFUSED_STREAM)]
    client.session.reset(1)
    assert client.send(SynStream(one_more + 2, {})) == [Opened(one_more + 2, {}, fin=False)]


def test_the_clients_pings_are_answered_and_ours_are_not(client: Client):
    assert client.told(client.send(Ping(7))) == [Ping(7)]
    assert client.send(Ping(2)) == []


def test_leaving(client: Client):
    assert client.send(GoAway(0)) == [Leaving()]
    assert client.read(client.session.leave()) == [GoAway(1)]
    assert client.send(SynStream(3, {})) == []
    assert client.send(Data(1, b"still")) == [Received(1, b"still")]


def test_what_nobody_heeds(client: Client):
    assert client.send(Settings(((0, 7, 1),)), WindowUpdate(1, 9), SynReply(2, {}), Headers(1, {"a": "b"})) == []
