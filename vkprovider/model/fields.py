"""A raw object held against the Structs that read it: what they do not know, and what has the wrong type.

Unlike decoding, which stops at the first error, this finds everything in one pass and leaves an object that decodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import inspect

from vkprovider.model.base import Model
from vkprovider.model.findings import Finding, in_range, required, show

_BAD: Any = object()  # stands for a value that had the wrong type
_INT32 = 2**31 - 1
_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "a string",
    inspect.IntType: "an integer",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a time, as 2006-01-02T15:04:05Z",
    inspect.StructType: "a mapping",
    inspect.DictType: "a mapping",
    inspect.VarTupleType: "a list",
}


class UnknownField(NamedTuple):
    """A key that the struct ``owner`` has no field for. ``path`` names the key itself."""

    path: str
    name: str
    owner: type[Model]
    value: Any


class Checked(NamedTuple):
    """``clean`` is the object without its unknown keys, empty values in the place of wrong and missing ones."""

    clean: dict[str, Any]
    unknown: tuple[UnknownField, ...]
    faults: tuple[Finding, ...]


def check(raw: Mapping[str, Any], kind: type[Model], path: str = "") -> Checked:
    """Hold ``raw``, from which nulls are gone, against ``kind``. Lists are walked in order, keys as they come."""
    walk = _Walk()
    clean = walk.struct(kind, raw, path)
    return Checked(clean, tuple(walk.unknown), tuple(walk.faults))


def unknown_fields(raw: Mapping[str, Any], kind: type[Model], path: str = "") -> list[UnknownField]:
    """Every key of ``raw``, at any depth, that ``kind`` and the structs below it do not know."""
    return list(check(raw, kind, path).unknown)


def field_names(kind: type[Model]) -> tuple[str, ...]:
    """The fields of a struct, as manifests spell them."""
    return tuple(_fields(kind))


def below(path: str, key: str) -> str:
    """The path of a key; one that is no plain word is quoted, so that the path stays readable."""
    name = key if key.replace("-", "").replace("_", "").isalnum() else f"[{show(key)}]"
    return f"{path}.{name}" if path and not name.startswith("[") else path + name


@cache
def _fields(kind: type[Model]) -> dict[str, inspect.Field]:
    struct = cast(inspect.StructType, inspect.type_info(kind))
    return {field.encode_name: field for field in struct.fields}


class _Walk:
    def __init__(self) -> None:
        self.unknown: list[UnknownField] = []
        self.faults: list[Finding] = []

    def struct(self, kind: type[Model], raw: Mapping[str, Any], path: str) -> dict[str, Any]:
        fields = _fields(kind)
        clean: dict[str, Any] = {}
        for key, value in raw.items():
            field = fields.get(key)
            if field is None:
                self.unknown.append(UnknownField(below(path, key), key, kind, value))
                continue
            read = self._value(field.type, value, below(path, key))
            if read is not _BAD:
                clean[key] = read
        for key, field in fields.items():
            if field.required and key not in clean:
                if key not in raw:
                    self.faults.append(required(below(path, key)))
                clean[key] = _empty(field.type)
        return clean

    def _value(self, expected: inspect.Type, raw: Any, path: str) -> Any:
        options = _options(expected)
        for option in options:
            match option, raw:
                case inspect.AnyType(), _:
                    return raw
                case inspect.StructType(cls=kind), dict():
                    return self.struct(cast(type[Model], kind), raw, path)
                case inspect.DictType(value_type=inner), dict():
                    pairs = ((key, self._value(inner, value, f"{path}[{key}]")) for key, value in raw.items())
                    return {key: value for key, value in pairs if value is not _BAD}
                case inspect.VarTupleType(item_type=inner), list():
                    return [self._item(inner, value, f"{path}[{place}]") for place, value in enumerate(raw)]
                case _ if _fits(option, raw):
                    return raw if len(options) > 1 else self._bounded(option, raw, path)
        self.faults.append(Finding(path, _wrong_type(options, raw)))
        return _BAD

    def _item(self, expected: inspect.Type, raw: Any, path: str) -> Any:
        read = self._value(expected, raw, path)
        return _empty(expected) if read is _BAD else read

    def _bounded(self, expected: inspect.Type, raw: Any, path: str) -> Any:
        """Integers of the API are of 32 bits where it matters; the few longer ones hold nothing sensible beyond."""
        if isinstance(expected, inspect.IntType) and not -_INT32 <= raw <= _INT32:
            self.faults.extend(in_range(path, raw, -_INT32, _INT32))
            return _BAD
        return raw


def _options(expected: inspect.Type) -> Sequence[inspect.Type]:
    if isinstance(expected, inspect.UnionType):
        return [option for option in expected.types if not isinstance(option, inspect.NoneType)]
    return [expected]


def _fits(expected: inspect.Type, raw: Any) -> bool:
    match expected:
        case inspect.StrType():
            return isinstance(raw, str)
        case inspect.BoolType():
            return isinstance(raw, bool)
        case inspect.IntType():
            return isinstance(raw, int) and not isinstance(raw, bool)
        case inspect.FloatType():
            return isinstance(raw, (int, float)) and not isinstance(raw, bool)
        case inspect.DateTimeType():
            try:
                return isinstance(raw, str) and isinstance(msgspec.convert(raw, datetime), datetime)
            except msgspec.ValidationError:
                return False
    return False


def _empty(expected: inspect.Type) -> Any:
    """The least value of a type, so that what surrounds a wrong one can still be read."""
    match _options(expected)[0]:
        case inspect.StructType(cls=kind):
            fields = _fields(cast(type[Model], kind))
            return {name: _empty(field.type) for name, field in fields.items() if field.required}
        case inspect.IntType():
            return 0
        case inspect.VarTupleType():
            return []
        case inspect.DictType():
            return {}
    return ""


def _wrong_type(options: Sequence[inspect.Type], raw: Any) -> str:
    kinds = [type(option) for option in options]
    if inspect.FloatType in kinds and inspect.IntType in kinds:
        kinds.remove(inspect.IntType)
    wanted = " or ".join(_NAMES[kind] for kind in kinds)
    if isinstance(raw, (bool, int, float)) and any(isinstance(option, inspect.StrType) for option in options):
        advice = ": put it in quotes"
    elif isinstance(raw, str) and any(_fits(option, _unquoted(raw)) for option in options):
        advice = ": take the quotes away"
    else:
        advice = ""
    return f"must be {wanted}, not {_describe(raw)}{advice}"


def _unquoted(text: str) -> Any:
    try:
        return int(text) if len(text) < len(str(_INT32)) else text
    except ValueError:
        return {"true": True, "false": False}.get(text, text)


def _describe(raw: Any) -> str:
    if isinstance(raw, dict):
        return "a mapping"
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, str):
        return f"the string {show(raw)}"
    return show(raw)
