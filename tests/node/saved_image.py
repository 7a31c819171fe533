"""Images as ``docker save`` writes them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable


def file(name: str, content: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime, entry.size = mode, 1000, len(content)
    entry.pax_headers = {"comment": content}  # where ``layer`` finds it
    return entry


def other(name: str, kind: bytes, target: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.mtime = kind, target, mode, 2000
    return entry


def layer(*entries: tarfile.TarInfo, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for entry in entries:
            content = entry.pax_headers.pop("comment", "")
            archive.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def saved(*layers: bytes, names: Iterable[str] = ()) -> bytes:
    """``names`` are those that the manifest gives the layers, where they are others than their own."""
    own = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": list(names) or own}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in [*zip(own, layers, strict=True), ("manifest.json", manifest)]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
