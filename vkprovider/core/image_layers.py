"""What an image shows: its layers laid over one another, without unpacking any (the OCI image spec's layer.md).

Nothing that comes out leads anywhere else: names are plain paths below the root, each with real directories above it,
and every one of them once. Devices and pipes are left out, and no file may be executed, as Kubernetes promises of
image volumes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from vkprovider.errors import SpecError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_DIRECTORY_MODE = 0o755  # of one that no layer has an entry for
_READ_WRITE = 0o666


class Kind(StrEnum):
    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    OTHER = "other"


class Source(NamedTuple):
    """Where the bytes of a file are: the layer, and the entry in it, by their numbers."""

    layer: int
    entry: int


class LayerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a layer's tar. ``target`` is what a link leads to."""

    name: str
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    modified: float = 0
    target: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the image shows at ``path``, relative to its root. Files with one source are one file."""

    path: str
    entry: LayerEntry
    source: Source | None = None  # of a file

    @property
    def mode(self) -> int:
        return self.entry.mode & (0o1777 if self.entry.kind is Kind.DIRECTORY else _READ_WRITE)


class _Node:
    def __init__(self, entry: LayerEntry, source: Source | None = None) -> None:
        self.entry = entry
        self.source = source
        self.children: dict[str, _Node] = {}


def lay_over(layers: Sequence[Sequence[LayerEntry]]) -> tuple[Shown, ...]:
    """What the layers, the lowest first, show together: directories before what is in them, symbolic links last.

    Raises SpecError for what is no layer of an image.
    """
    root = _Node(LayerEntry(name="", kind=Kind.DIRECTORY, mode=_DIRECTORY_MODE))
    for number, layer in enumerate(layers):
        for entry in layer:
            _hide(root, entry)
        for place, entry in enumerate(layer):
            _add(root, entry, Source(number, place))
    shown = tuple(_walk(root))
    return tuple(sorted(shown, key=lambda each: each.entry.kind is Kind.SYMLINK))


def _hide(root: _Node, entry: LayerEntry) -> None:
    """What a layer hides is below it: so it is hidden before anything of the layer itself is there."""
    *above, name = _parts(entry.name) or [""]
    if not name.startswith(_WHITEOUT):
        return
    directory = _find(root, above)
    if directory is None:
        return
    if name == _OPAQUE:
        directory.children.clear()
    else:
        directory.children.pop(name.removeprefix(_WHITEOUT), None)


def _add(root: _Node, entry: LayerEntry, source: Source) -> None:
    parts = _parts(entry.name)
    if any(part.startswith(_WHITEOUT) for part in parts) or entry.kind is Kind.OTHER:
        return
    if not parts:
        root.entry = entry if entry.kind is Kind.DIRECTORY else root.entry
        return
    directory = _directory(root, parts[:-1])
    if entry.kind is Kind.DIRECTORY:
        _directory(directory, parts[-1:]).entry = entry
    elif entry.kind is Kind.HARD_LINK:
        linked = _find(root, _parts(entry.target))
        if linked is None or linked.source is None:
            raise SpecError(f"{entry.name!r} is a link to {entry.target!r}, which is no file of the image")
        directory.children[parts[-1]] = _Node(linked.entry, linked.source)
    else:
        directory.children[parts[-1]] = _Node(entry, source if entry.kind is Kind.FILE else None)


def _directory(node: _Node, parts: Iterable[str]) -> _Node:
    """A directory, made with those above it. What else is in the way is gone: it is in a layer below."""
    for part in parts:
        below = node.children.get(part)
        if below is None or below.entry.kind is not Kind.DIRECTORY:
            below = node.children[part] = _Node(LayerEntry(name=part, kind=Kind.DIRECTORY, mode=_DIRECTORY_MODE))
        node = below
    return node


def _find(node: _Node, parts: Iterable[str]) -> _Node | None:
    for part in parts:
        below = node.children.get(part)
        if below is None:
            return None
        node = below
    return node


def _walk(root: _Node) -> Iterator[Shown]:
    """Not by recursion: an image may nest directories as deep as it likes."""
    left = [("", root)]
    while left:
        path, node = left.pop()
        yield Shown(path=path, entry=node.entry, source=node.source)
        prefix = f"{path}/" if path else ""
        left += [(prefix + name, child) for name, child in sorted(node.children.items(), reverse=True)]


def _parts(name: str) -> list[str]:
    """Raises SpecError for a name that leads out, or that no file can have."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise SpecError(f"a layer of the image has an entry {name!r}, which leads out of it")
    return parts
