"""What is said about a field that the model does not read: nothing, a warning, a refusal, or how it is spelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from vkprovider.model.base import Model
from vkprovider.model.container import Container
from vkprovider.model.fields import UnknownField, below, field_names
from vkprovider.model.findings import Finding, show
from vkprovider.model.job import JobSpec
from vkprovider.model.pod import ObjectMeta, PodSpec
from vkprovider.model.unsupported import OTHERS, REFUSAL, Level, Other, Shape

# Where a field that stands in the wrong place may belong: bad indentation is as common as bad spelling.
_HOMES: dict[type[Model], str] = {
    PodSpec: "the pod spec",
    Container: "a container",
    JobSpec: "the Job spec",
    ObjectMeta: "metadata",
}

_LONGEST_NAME = 64  # characters; nothing longer resembles the name of a field


class Remark(NamedTuple):
    """``level`` is None where Kubernetes does not know the field either; ``meant`` is then what it may stand for."""

    finding: Finding
    level: Level | None
    meant: str = ""


def remarks(unknown: Iterable[UnknownField]) -> Iterator[Remark]:
    """One remark for each field that is not to be passed over in silence."""
    for field in unknown:
        other = _others(field.owner).get(field.name)
        if other is None:
            yield _misspelt(field.path, field.name, known_names(field.owner), field.owner)
        elif not _asks_for_something(field.value) or field.value in other.harmless:
            continue
        elif other.level is Level.REFUSE:
            yield Remark(Finding(field.path, REFUSAL), Level.REFUSE)
        else:
            if other.level is Level.WARN:
                yield Remark(Finding(field.path, f"not honoured by vkprovider: {other.note}"), Level.WARN)
            yield from _strangers(field.value, other.shape, field.path)


def known_names(owner: type[Model]) -> tuple[str, ...]:
    """All fields that Kubernetes knows at this place."""
    return field_names(owner) + tuple(_others(owner))


def _others(owner: type[Model]) -> Mapping[str, Other]:
    """What the table has on a struct, or on the one that it extends."""
    return next((OTHERS[kind] for kind in owner.__mro__ if kind in OTHERS), {})


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` is most like, whatever its case; "" where none is near."""
    if len(name) > _LONGEST_NAME:
        return ""
    by_lower = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else ""


def _misspelt(path: str, name: str, known: Iterable[str], owner: type[Model] | None = None) -> Remark:
    message = f"unknown field {show(name)}"
    home = next((place for kind, place in _HOMES.items() if kind is not owner and name in known_names(kind)), "")
    if home and owner is not None:
        return Remark(Finding(path, f"{message}: it belongs in {home}"), None)
    meant = closest(name, known)
    if not meant:
        return Remark(Finding(path, message), None)
    parent = path.removesuffix(below("", name)).rstrip(".")
    return Remark(Finding(path, f'{message}, did you mean "{meant}"?'), None, below(parent, meant))


def _asks_for_something(value: Any) -> bool:
    return value is not None and value not in ("", [])


def _strangers(value: Any, shape: Shape, path: str) -> Iterator[Remark]:
    """Misspellings below a field that is passed over."""
    if not shape:
        return
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _strangers(item, shape, f"{path}[{place}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in shape:
                yield from _strangers(item, shape[key], below(path, key))
            else:
                yield _misspelt(below(path, key), key, shape)
