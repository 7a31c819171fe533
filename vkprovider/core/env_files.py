"""Variables from files that containers have left in an emptyDir (feature EnvFiles): which files, and what they say.

The format and the messages are the kubelet's (pkg/kubelet/util/env/env_util.go, pkg/kubelet/kubelet_pods.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from vkprovider.core.faults import Fault
from vkprovider.core.volumes import in_memory, memory_volume_name, volume_path
from vkprovider.errors import SpecError
from vkprovider.model.container import Container, FileKeySelector
from vkprovider.model.pod import Pod

UNREADABLE = "couldn't parse env file"

_KEY_LENGTH = 128
_VALUE_BYTES = 32 * 1024
_BLANK = " \t"

Contents = Mapping[tuple[str, str], str | Fault]  # by the volume's name and the path in it
NO_FILES: Contents = {}


class EnvFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file ``path`` in the volume ``volume``, which lies at ``root``; that of one ``in_memory`` is the engine's name.

    Containers may have put symbolic links anywhere below it, and anything in the file's place.
    """

    volume: str
    path: str
    root: str
    in_memory: bool


def needed_files(pod: Pod, container: Container, pod_dir: str) -> tuple[EnvFile, ...]:
    """The files that the variables of a container are in, each once."""
    volumes = {volume.name: volume for volume in pod.spec.volumes if volume.empty_dir is not None}
    found = {}
    for selector in _selectors(container):
        volume = volumes.get(selector.volume_name)
        if volume is not None:
            memory = in_memory(volume)
            root = memory_volume_name(pod, volume) if memory else volume_path(volume, pod_dir)
            path = selector.path.lstrip("/")
            found[volume.name, path] = EnvFile(volume=volume.name, path=path, root=root, in_memory=memory)
    return tuple(found.values())


def value_in(selector: FileKeySelector, contents: Contents) -> str | None:
    """The value of a key of a file, or None where an optional one is missing or empty. Raises Fault."""
    if len(selector.key) > _KEY_LENGTH:
        raise Fault(f'environment variable key "{selector.key}" exceeds maximum length of 128 characters')
    content = contents.get((selector.volume_name, selector.path.lstrip("/")))
    if content is None:
        raise Fault(f'cannot find the volume "{selector.volume_name}" referenced by FileKeyRef')
    if isinstance(content, Fault):
        raise content
    try:
        value = parse(content, selector.key)
    except SpecError as exc:
        raise Fault(f"{UNREADABLE}: {exc}") from exc
    if len(value.encode()) > _VALUE_BYTES:
        raise Fault(f'environment variable value for key "{selector.key}" exceeds maximum size of 32KB')
    if value or selector.optional:
        return value or None
    where = f'"{selector.path}" of volume "{selector.volume_name}"'
    raise Fault(f'environment variable key "{selector.key}" not found in file {where}')


def parse(text: str, key: str) -> str:
    """The first value that ``text`` has for ``key``, "" where it has none; lines behind it are not looked at.

    A line says NAME=value, with blanks around either left out. One that ends in a backslash goes on in the next, joined
    by one blank. Blank lines and those that begin with # are passed over. Raises SpecError.
    """
    begun = ""  # what lines that end in a backslash have said so far
    open_line = False
    for number, raw in enumerate(text.removesuffix("\n").split("\n"), 1):
        line = raw.removesuffix("\r").strip(_BLANK)
        if not line or line.startswith("#"):
            if open_line:
                what = "comment" if line else "blank line"
                raise SpecError(f"invalid environment variable format at line {number}: {what} in continuation")
            continue
        whole = f"{begun} {line}" if open_line else line
        open_line = line.endswith("\\")
        if open_line:
            begun = whole[:-1].rstrip(_BLANK)
            continue
        name, equals, value = whole.partition("=")
        if not equals or not name.strip():
            raise SpecError(f"invalid environment variable format at line {number}")
        if name.strip() == key:
            return value.strip()
    if open_line:
        raise SpecError("unexpected end of file: unfinished line continuation")
    return ""


def _selectors(container: Container) -> Iterator[FileKeySelector]:
    for variable in container.env:
        source = variable.value_from
        if source is not None and source.file_key_ref is not None and not variable.value:
            yield source.file_key_ref
