"""Channels over WebSocket, as Kubernetes numbers them: one byte in front of each message says which one it is of.

``channel.k8s.io`` is binary, ``base64.channel.k8s.io`` text: the channel as a digit, the rest in base64. Version 4
writes the outcome as a Status; version 5 can also end the client's half of a channel, by the byte 255 and its number
(k8s.io/apimachinery, pkg/util/httpstream/wsstream/conn.go).
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import NamedTuple

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
PLAIN, PLAIN_BASE64 = "channel.k8s.io", "base64.channel.k8s.io"
V4, V4_BASE64, V5 = "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "v5.channel.k8s.io"
REMOTE_COMMAND = (V5, V4, V4_BASE64, PLAIN, PLAIN_BASE64)
TUNNELLED_PORTS = "SPDY/3.1+portforward.k8s.io"  # a SPDY connection's bytes in binary messages, since 1.31
PORT_FORWARD = (TUNNELLED_PORTS, V4, V4_BASE64)


class ChannelError(ValueError):
    """A message that is none of this protocol."""


class Message(NamedTuple):
    channel: int
    data: bytes


class Close(NamedTuple):
    """The client sends no more on the channel."""

    channel: int


class ChannelCodec(NamedTuple):
    """Messages of one subprotocol; "" stands for none having been asked for."""

    subprotocol: str = ""

    @property
    def base64(self) -> bool:
        return "base64" in self.subprotocol

    @property
    def has_status(self) -> bool:
        """Whether the outcome is told as a Status, or just its message if it is a failure."""
        return self.subprotocol in (V4, V4_BASE64, V5)

    def encode(self, channel: int, data: bytes) -> bytes | str:
        """The message, text (str) or binary."""
        if self.base64:
            return f"{channel}{base64.b64encode(data).decode('ascii')}"
        return bytes((channel,)) + data

    def decode(self, message: bytes | str) -> Message | Close | None:
        """What the client sent; None for an empty message, which means nothing. Raises ChannelError."""
        raw = message.encode() if isinstance(message, str) else message
        if not raw:
            return None
        if self.subprotocol == V5 and raw[0] == CLOSE:
            if len(raw) != 2:
                raise ChannelError(f"one channel is to be closed by a message, not {len(raw) - 1}")
            return Close(raw[1])
        if not self.base64:
            return Message(raw[0], bytes(raw[1:]))
        if not 0 <= raw[0] - ord("0") <= 9:
            raise ChannelError(f"{chr(raw[0])!r} is no channel")
        try:
            return Message(raw[0] - ord("0"), base64.b64decode(raw[1:], validate=True))
        except binascii.Error as exc:
            raise ChannelError(f"not base64: {exc}") from exc


def negotiate(offered: Sequence[str], known: Sequence[str]) -> str | None:
    """The first subprotocol offered that is known, "" where none was offered, None where none will do."""
    if not offered:
        return ""
    return next((name for name in offered if name in known), None)


def port_greeting(port: int) -> bytes:
    """The first message on both channels of a forwarded port: its number, little endian (portforward/websocket.go)."""
    return struct.pack("<H", port)
