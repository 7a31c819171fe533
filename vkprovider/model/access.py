"""Who asks something of a node."""

from __future__ import annotations

import msgspec


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the cluster knows (authentication.k8s.io UserInfo). ``extra`` are keys with their values."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
