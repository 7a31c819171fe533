"""Every field of Pods and Jobs that Kubernetes knows, and what becomes of it here: the models, and the table of others.

``python -m vkprovider.model.supported`` prints the reference page; ``make reference`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import inspect

from vkprovider.model.base import Model
from vkprovider.model.deployment import DeploymentSpec
from vkprovider.model.job import JobSpec
from vkprovider.model.pod import ObjectMeta, PodSpec
from vkprovider.model.unsupported import OTHERS, Level, Other

ROOTS: tuple[tuple[str, type[Model]], ...] = (
    ("metadata", ObjectMeta),
    ("spec", PodSpec),
    ("Job.spec", JobSpec),
    ("Deployment.spec", DeploymentSpec),
)


class Standing(StrEnum):
    """PLACEMENT: for schedulers, controllers and the API server, and nothing for a node to do."""

    HONOURED = "honoured"
    PLACEMENT = "placement"
    WARNED = "warned"
    REFUSED = "refused"


_STANDINGS = {Level.PLACEMENT: Standing.PLACEMENT, Level.WARN: Standing.WARNED, Level.REFUSE: Standing.REFUSED}


class Field(msgspec.Struct, frozen=True):
    """``path`` is the first place where the field is found, ``note`` what happens where it is not honoured."""

    path: str
    standing: Standing
    note: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2].removesuffix("[]")


class Section(msgspec.Struct, frozen=True):
    """The fields of one struct, and all places where it is found."""

    places: tuple[str, ...]
    fields: tuple[Field, ...]


def sections() -> tuple[Section, ...]:
    """All of them, from the outside to the inside, each struct once."""
    found: dict[type[Model], list[str]] = {}
    for place, kind in ROOTS:
        _visit(kind, place, found)
    return tuple(Section(tuple(places), tuple(_fields(kind, places[0]))) for kind, places in found.items())


def _visit(kind: type[Model], place: str, found: dict[type[Model], list[str]]) -> None:
    known = kind in found
    found.setdefault(kind, []).append(place)
    if known:
        return
    for field in _own(kind):
        for inner, suffix in _structs(field.type):
            _visit(inner, f"{place}.{field.encode_name}{suffix}", found)


def _own(kind: type[Model]) -> tuple[inspect.Field, ...]:
    """Without those of a struct that it extends, which has a section of its own."""
    base = kind.__base__
    inherited = {field.encode_name for field in _all(base)} if base not in (Model, None) else set()
    return tuple(field for field in _all(kind) if field.encode_name not in inherited)


def _all(kind: Any) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _structs(kind: inspect.Type) -> Iterator[tuple[type[Model], str]]:
    match kind:
        case inspect.StructType(cls=struct) if issubclass(struct, Model):
            yield struct, ""
        case inspect.VarTupleType(item_type=item):
            yield from ((struct, f"[]{suffix}") for struct, suffix in _structs(item))
        case inspect.UnionType(types=types):
            for each in types:
                yield from _structs(each)


def _fields(kind: type[Model], place: str) -> Iterator[Field]:
    for field in _own(kind):
        yield Field(f"{place}.{field.encode_name}", Standing.HONOURED)
    for name, other in OTHERS.get(kind, {}).items():
        yield Field(f"{place}.{name}", _STANDINGS[other.level], _note(other))


def _note(other: Other) -> str:
    if other.note:
        return other.note
    allowed = [value for value in other.harmless if value]
    if other.level is not Level.REFUSE or not allowed:
        return ""
    return f"anything but {' and '.join(msgspec.json.encode(value).decode() for value in allowed)}"


def all_fields() -> tuple[Field, ...]:
    return tuple(field for section in sections() for field in section.fields)


def table() -> str:
    """All fields in lines for a terminal."""
    lines = (f"{field.standing:<10} {field.path}{f' ({field.note})' if field.note else ''}" for field in all_fields())
    return "\n".join(lines)


# --- the reference page -----------------------------------------------------------------------------------------


def render() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Supported fields"
    yield ""
    yield "<!-- Generated from vkprovider/model by `make reference`. -->"
    yield ""
    yield "Every field of Pods, Jobs and Deployments in Kubernetes 1.34. `vkprovider features` prints it too, with"
    yield "`-o json` for programs. No field is passed over in silence:"
    yield ""
    yield "- **honoured**: as a kubelet does it, but for [the differences](differences-from-kubelet.md)."
    yield "- **placement**: it speaks to schedulers, controllers or the API server. A node has nothing to do."
    yield "- **warned**: the pod runs without it, and says so: with a Warning event `UnsupportedField` that names the"
    yield "  field, or a warning of `vkprovider run`. So it is with fields that are newer than vkprovider."
    yield "- **refused**: to run the pod without it would be wrong. It fails at admission, with reason"
    yield "  `UnsupportedField`; `vkprovider run` does not begin."
    yield ""
    yield "Those of `Job.spec` and `Deployment.spec` are for `vkprovider run`; in a cluster controllers read them."
    for section in sections():
        yield from ("", f"## {', '.join(f'`{place}`' for place in section.places)}", "")
        yield from _section(section.fields)


def _section(fields: Iterable[Field]) -> Iterator[str]:
    fields = tuple(fields)
    for standing in Standing:
        chosen = [field for field in fields if field.standing is standing]
        if chosen:
            told = ", ".join(f"`{f.name}`{f' ({f.note})' if f.note else ''}" for f in chosen)
            yield f"- {standing}: {told}"


if __name__ == "__main__":
    print(render(), end="")
