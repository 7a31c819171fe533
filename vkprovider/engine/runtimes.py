"""What the engine's runtimes can do, by what it says of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_FEATURES = "org.opencontainers.runtime-spec.features"  # said since API 1.44
_OPTION = "rro"  # of mounts, in a runtime's own list
_KERNEL = (5, 12)  # the first with mount_setattr(2)


class _Features(msgspec.Struct, rename="camel"):
    """The part that is read of opencontainers/runtime-spec, features.md."""

    mount_options: tuple[str, ...] | None = None


def recursive_read_only(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Of the runtimes in the answer to ``GET /info`` those that make read-only mounts so in all of their depth; "" is
    among them if the default one is (cri-dockerd, core/docker_service.go getRuntimeHandlers).
    """
    if _version(info["KernelVersion"]) < _KERNEL:
        return ()
    runtimes: Mapping[str, Mapping[str, Any]] = info.get("Runtimes") or {}
    able = sorted(name for name, runtime in runtimes.items() if _OPTION in _mount_options(runtime))
    return ("", *able) if info.get("DefaultRuntime") in able else tuple(able)


def _mount_options(runtime: Mapping[str, Any]) -> tuple[str, ...]:
    said = (runtime.get("status") or {}).get(_FEATURES)
    if not said:
        return ()
    try:
        return msgspec.json.decode(said, type=_Features).mount_options or ()
    except msgspec.MsgspecError:
        return ()


def _version(kernel: str) -> tuple[int, ...]:
    """Of ``6.1.0-25-amd64`` the first two numbers."""
    major, _, rest = kernel.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else ()
