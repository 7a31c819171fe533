"""What the query of a request asks for (remotecommand/httpstream.go NewOptions, core/v1 PodLogOptions)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from vkprovider.server.refusals import Refused

ALL = "All"
STREAMS = {ALL: ("stdout", "stderr"), "Stdout": ("stdout",), "Stderr": ("stderr",)}
_LARGEST_PORT = 65535


class Query(Protocol):
    """As yarl's MultiDict."""

    def get(self, key: str, default: str) -> str: ...

    def getall(self, key: str, default: list[str]) -> list[str]: ...


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which streams a client has for a command."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in ("stdin", "stdout", "stderr") if getattr(self, name))


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: datetime | None = None
    tail: int | None = None
    limit: int | None = None  # bytes
    streams: tuple[str, ...] = STREAMS[ALL]


def stream_options(query: Query) -> StreamOptions:
    """Raises Refused. A terminal has no stderr, whatever is asked for."""
    tty = query.get("tty", "") == "1"
    options = StreamOptions(
        stdin=query.get("input", "") == "1",
        stdout=query.get("output", "") == "1",
        stderr=query.get("error", "") == "1" and not tty,
        tty=tty,
    )
    if not options.names:
        raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
    return options


def forwarded_ports(query: Query) -> list[int]:
    """The ports of a forward over WebSocket. Raises Refused (portforward/websocket.go NewV4Options)."""
    given = query.getall("port", [])
    if not given:
        raise Refused(400, 'query parameter "port" is required')
    return [_port(text) for item in given for text in item.split(",")]


def forwarded_port(text: str) -> int | None:
    """A port as a stream's header has it; None if it is none."""
    try:
        return _port(text)
    except Refused:
        return None


def log_options(query: Query, now: datetime) -> LogOptions:
    """Raises Refused: 400 for what cannot be read, 422 for what cannot be meant."""
    tail = query.get("tail", "") or query.get("tailLines", "")
    try:
        since_seconds = _number(query.get("sinceSeconds", ""))
        since_time = _instant(query.get("sinceTime", ""))
        options = LogOptions(
            follow=_flag(query, "follow"),
            previous=_flag(query, "previous"),
            timestamps=_flag(query, "timestamps"),
            since=since_time if since_seconds is None else now - timedelta(seconds=since_seconds),
            tail=None if tail == "all" else _number(tail),
            limit=_number(query.get("limitBytes", "")),
            streams=STREAMS.get(query.get("stream", "") or ALL, ()),
        )
    except (ValueError, OverflowError):
        raise Refused(400, '{"message": "Unable to decode query."}') from None
    if not _can_be_meant(options, since_seconds, since_time):
        raise Refused(422, '{"message": "Invalid request."}')
    return options


def _can_be_meant(options: LogOptions, since_seconds: int | None, since_time: datetime | None) -> bool:
    """As pkg/apis/core/validation ValidatePodLogOptions has it."""
    if options.tail is not None and (options.tail < 0 or options.streams != STREAMS[ALL]):
        return False
    if since_seconds is not None and (since_seconds < 1 or since_time is not None):
        return False
    return bool(options.streams) and (options.limit is None or options.limit > 0)


def _flag(query: Query, name: str) -> bool:
    return query.get(name, "false").lower() not in ("false", "0")


def _number(text: str) -> int | None:
    return int(text) if text else None


def _instant(text: str) -> datetime | None:
    instant = datetime.fromisoformat(text) if text else None
    if instant is not None and instant.tzinfo is None:
        raise ValueError(text)
    return None if instant is None else instant.astimezone(UTC)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > _LARGEST_PORT:
        raise Refused(400, f'unable to parse "{text}" as a port')
    if int(text) < 1:
        raise Refused(400, f'port "{text}" must be > 0')
    return int(text)
