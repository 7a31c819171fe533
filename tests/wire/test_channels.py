from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.wire import channels
from vkprovider.wire.channels import ChannelCodec, ChannelError, Close, Message, negotiate, port_greeting


@pytest.mark.parametrize(
    ("subprotocol", "message"),
    [
        ("", b"\x01\n"),
        (channels.PLAIN, b"\x01\n"),
        (channels.V4, b"\x01\n"),
        (channels.V5, b"\x01\n"),
        (channels.PLAIN_BASE64, "1Cg=="),
        (channels.V4_BASE64, "1Cg=="),
    ],
)
def test_a_message(subprotocol: str, message: bytes | str):
    codec = ChannelCodec(subprotocol)
    assert codec.encode(channels.STDOUT, b"\n") == message
    assert codec.decode(message) == Message(channels.STDOUT, b"\n")


@given(st.sampled_from(channels.REMOTE_COMMAND), st.integers(0, 4), st.binary(max_size=100))
def test_any_data_there_and_back(subprotocol: str, channel: int, data: bytes):
    codec = ChannelCodec(subprotocol)
    assert codec.decode(codec.encode(channel, data)) == Message(channel, data)


@given(st.sampled_from(("", *channels.REMOTE_COMMAND)), st.one_of(st.binary(max_size=40), st.text(max_size=20)))
def test_any_message_is_understood_or_an_error(subprotocol: str, message: bytes | str):
    try:
        decoded = ChannelCodec(subprotocol).decode(message)
    except ChannelError:
        return
    assert (decoded is None) == (not message)


def test_base64_may_come_in_binary_messages():
    assert ChannelCodec(channels.V4_BASE64).decode(b"0Zm9vCg==") == Message(channels.STDIN, b"foo\n")


def test_version_5_closes_a_channel():
    codec = ChannelCodec(channels.V5)
    assert codec.decode(b"\xff\x00") == Close(channels.STDIN)
    for wrong in (b"\xff", b"\xff\x00\x01"):
        with pytest.raises(ChannelError, match="one channel"):
            codec.decode(wrong)
    assert ChannelCodec(channels.V4).decode(b"\xff\x00") == Message(255, b"\x00")


@pytest.mark.parametrize("wrong", ["0Zm9", "0***", ":", "é"])
def test_what_is_not_base64(wrong: str):
    with pytest.raises(ChannelError):
        ChannelCodec(channels.PLAIN_BASE64).decode(wrong)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], ""),
        (["v9", channels.V4, channels.V5], channels.V4),
        ([channels.V5, channels.V4], channels.V5),
        (["v9"], None),
    ],
)
def test_the_first_known_subprotocol_is_chosen(offered: list[str], chosen: str | None):
    assert negotiate(offered, channels.REMOTE_COMMAND) == chosen


def test_a_forwarded_port_is_greeted_by_its_number():
    assert port_greeting(8080) == b"\x90\x1f"
