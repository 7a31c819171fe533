"""What the engine says while it pulls: one line of JSON after another, each on one layer. Sans-IO."""

from __future__ import annotations

from typing import Any

import msgspec

from vkprovider.engine.refusals import Refused
from vkprovider.model.engine import PullProgress
from vkprovider.wire.lines import LineSplitter

_HERE = ("Already exists", "Download complete", "Verifying Checksum", "Extracting", "Pull complete")


class _Detail(msgspec.Struct):
    current: int = 0
    total: int = 0


class _Message(msgspec.Struct, rename="camel"):
    id: str = ""
    status: str = ""
    progress_detail: _Detail | None = None
    error: str = ""
    error_detail: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Message).decode


class PullStream:
    """Adds up over the layers. Bytes are those downloaded; a layer counts from when its size is known."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._lines = LineSplitter()
        self._layers: dict[str, _Detail] = {}
        self._status = ""

    def feed(self, data: bytes) -> bool:
        """Whether these bytes bring news. Raises Refused with the registry's words if the pull has failed."""
        news = False
        for line in self._lines.feed(data):
            if line.strip():
                self._hear(_decode(line))
                news = True
        return news

    @property
    def progress(self) -> PullProgress:
        layers = self._layers.values()
        return PullProgress(
            image=self._image,
            current_bytes=sum(layer.current for layer in layers),
            total_bytes=sum(layer.total for layer in layers),
            status=self._status,
        )

    def _hear(self, message: _Message) -> None:
        if message.error or message.error_detail:
            raise Refused(0, message.error_detail.get("message") or message.error)
        self._status = message.status
        known = self._layers.get(message.id)
        if message.status == "Downloading" and message.progress_detail is not None:
            detail = message.progress_detail
            self._layers[message.id] = _Detail(detail.current, max(detail.total, detail.current))
        elif message.status in _HERE and known is not None:
            known.current = known.total
