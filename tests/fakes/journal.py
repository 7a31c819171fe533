"""What a fake engine was asked for."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal. ``target`` is the engine's name of a container, else of whatever was named."""

    at: datetime
    verb: str
    target: str
    detail: str = ""
