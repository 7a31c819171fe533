"""A copy of what an image shows, from what ``docker save`` writes.

All is written below a new directory, and symbolic links after everything else: none can lead a file astray. Root keeps
the owners of files; of an ordinary user's copy all are the user's.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Any

import msgspec

from vkprovider.core.image_layers import Kind, LayerEntry, Shown, Source, lay_over
from vkprovider.errors import SpecError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = (
    (tarfile.TarInfo.isdir, Kind.DIRECTORY),
    (tarfile.TarInfo.isreg, Kind.FILE),
    (tarfile.TarInfo.issym, Kind.SYMLINK),
    (tarfile.TarInfo.islnk, Kind.HARD_LINK),
)


class _Image(msgspec.Struct):
    Layers: tuple[str, ...]


def copy_image(archive: str, target: str) -> None:
    """Make ``target``, a directory with all that an image shows. Raises SpecError for no image, and OSError."""
    with ExitStack() as opened:
        try:
            outer = opened.enter_context(tarfile.open(archive))
            layers = [opened.enter_context(tarfile.open(fileobj=file)) for file in _layers(outer)]
            members = [layer.getmembers() for layer in layers]
            shown = lay_over([[_entry(member) for member in each] for each in members])
            _write(target, shown, layers, members)
        except (tarfile.TarError, msgspec.MsgspecError, UnicodeDecodeError, KeyError, EOFError) as exc:
            raise SpecError(f"the image cannot be read: {exc}") from exc


def _layers(outer: tarfile.TarFile) -> Iterator[IO[bytes]]:
    """The lowest first. One that is in several places of the image may be a link to another."""
    images = msgspec.json.decode(_file(outer, "manifest.json").read(), type=list[_Image])
    for name in images[0].Layers if images else ():
        yield _file(outer, name)


def _file(outer: tarfile.TarFile, name: str) -> IO[bytes]:
    found = outer.extractfile(name)
    if found is None:
        raise SpecError(f"the image cannot be read: {name} is no file")
    return found


def _entry(member: tarfile.TarInfo) -> LayerEntry:
    return LayerEntry(
        name=member.name,
        kind=next((kind for is_kind, kind in _KINDS if is_kind(member)), Kind.OTHER),
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        modified=max(0.0, float(member.mtime)),
        target=member.linkname,
    )


def _write(target: str, shown: Iterable[Shown], layers: list[tarfile.TarFile], members: list[list[Any]]) -> None:
    first: dict[Source, str] = {}
    directories = []
    for each in shown:
        path = os.path.join(target, each.path) if each.path else target
        if each.source is None:
            _make(path, each.entry)
            if each.entry.kind is Kind.DIRECTORY:
                directories.append((path, each))
                continue
        elif each.source in first:
            os.link(first[each.source], path)
            continue
        else:
            first[each.source] = path
            content = layers[each.source.layer].extractfile(members[each.source.layer][each.source.entry])
            _fill(path, content)
        _finish(path, each)
    for path, each in reversed(directories):  # what is made in a directory changes its times
        _finish(path, each)


def _make(path: str, entry: LayerEntry) -> None:
    if entry.kind is Kind.SYMLINK:
        os.symlink(entry.target, path)
    else:
        os.mkdir(path, 0o700)


def _fill(path: str, content: IO[bytes] | None) -> None:
    with open(os.open(path, _NEW, 0o600), "wb") as file:
        if content is not None:
            shutil.copyfileobj(content, file, 1 << 20)


def _finish(path: str, each: Shown) -> None:
    """The owner before the mode: a change of it takes bits of the mode away."""
    root = os.geteuid() == 0
    if root:
        os.chown(path, each.entry.uid, each.entry.gid, follow_symlinks=False)
    if each.entry.kind is not Kind.SYMLINK:
        os.chmod(path, each.mode | (0 if root else stat.S_IRWXU if each.source is None else stat.S_IRUSR))
    os.utime(path, (each.entry.modified, each.entry.modified), follow_symlinks=False)
