"""YAML and JSON text as plain values, read as kubectl reads it, and refusing what no manifest needs.

Scalars are those of kubectl's YAML library (go-yaml v2): ``yes``, ``on`` and ``0644`` mean what YAML 1.1 says, but
dates and base 60 are strings. Mapping keys become strings. Refused: a key given twice, unknown tags, aliases that
refer to themselves, and sizes no manifest comes near, be it by nesting or by aliases of aliases ("billion laughs").
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

MAX_DEPTH = 100
MAX_VALUES = 500_000  # of a whole text; what an alias stands for counts each time

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
_NAMED = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], float("nan")),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], float("inf")),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], float("-inf")),
}
_INTEGERS = (
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
_TOO_MUCH = f"holds more than {MAX_VALUES:,} values"
_JSON_START = re.compile(r"\s*[{\[]")
_JSON_SPACE = re.compile(r"\s*")
_LONGEST_NUMBER = 40  # characters; what is longer is no number of any field
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGGED: dict[str, Any] = {"null": type(None), "bool": bool, "int": int, "float": (float, int)}


class BrokenText(Exception):
    """Text that cannot be read. ``line`` and ``column`` count from 1; 0 where no place can be named."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.problem}" if self.line else self.problem


def documents(text: str) -> Iterator[Any]:
    """The documents of a text, one by one; empty ones are None. Raises BrokenText at the first that cannot be read."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable is not None:
        before = text[: unprintable.start()]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise BrokenText(f"the control character U+{ord(unprintable[0]):04X} is not allowed", line, column)
    try:
        # All at once where it may be JSON: only then is it known whether to read it as such.
        read = _Reader().documents(yaml.parse(text, Loader=_LOADER))
        yield from list(read) if _JSON_START.match(text) else read
    except yaml.YAMLError as exc:
        values = _json(text) if _JSON_START.match(text) else None
        if values is None:
            raise _unreadable(exc) from exc
        yield from values


class _Frame:
    """A mapping or list that is being read."""

    __slots__ = ("anchor", "key", "lines", "merged", "merging", "nodes", "value")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None, nodes: int) -> None:
        self.value = value
        self.anchor = anchor
        self.nodes = nodes  # how many the text had when it began
        self.key: str | None = None  # whose value comes next
        self.lines: dict[str, int] = {}  # where each key was given
        self.merging = False
        self.merged: list[dict[str, Any]] = []

    @property
    def at_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None and not self.merging


class _Reader:
    """Makes values of the parser's events. No recursion: neither depth nor aliases cost more than they should."""

    def __init__(self) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def documents(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                whole: list[Any] = []
                self._anchors = {}
                self._stack = [_Frame(whole, None, 0)]
            elif isinstance(event, yaml.DocumentEndEvent):
                yield whole[0]
            elif isinstance(event, yaml.AliasEvent):
                self._add(self._alias(event), event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close(event)

    def _open(self, event: Any) -> None:
        if len(self._stack) > MAX_DEPTH:
            raise _broken(_TOO_DEEP, event)
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
            raise _broken(f"the tag {event.tag} is not accepted", event)
        self._stack.append(_Frame({} if mapping else [], event.anchor, self._nodes))
        self._count(1, event)

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        for source in frame.merged:
            frame.value = source | frame.value  # type: ignore[operator]  # only mappings merge
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.value, self._nodes - frame.nodes)
        self._add(frame.value, event)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _broken(f"the alias *{event.anchor} refers to nothing that is complete before it", event)
        value, nodes = self._anchors[event.anchor]
        self._count(nodes, event)
        return value

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_VALUES:
            raise _broken(_TOO_MUCH, event)

    def _scalar(self, event: Any) -> None:
        self._count(1, event)
        frame = self._stack[-1]
        if event.value == _MERGE and not event.style and frame.at_key:
            frame.merging = True
            return
        value = _tagged(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, event)

    def _add(self, value: Any, event: Any) -> None:
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.merging:
            frame.merging = False
            frame.merged += _mappings(value, event)
        elif frame.key is not None:
            frame.value[frame.key] = value
            frame.key = None
        else:
            frame.key = _key(value, event)
            if frame.key in frame.lines:
                first = frame.lines[frame.key]
                raise _broken(f"the key {json.dumps(frame.key)} is given twice, first in line {first}", event)
            frame.lines[frame.key] = event.start_mark.line + 1


def _mappings(value: Any, event: Any) -> list[dict[str, Any]]:
    sources = value if isinstance(value, list) else [value]
    if not all(isinstance(source, dict) for source in sources):
        raise _broken("<< can only merge mappings", event)
    return sources


def _key(value: Any, event: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    raise _broken("the key of a mapping must be a string", event)


def _tagged(event: Any) -> Any:
    if event.tag in (None, "!"):
        return event.value if event.style or event.tag else resolve(event.value)
    kind = event.tag.removeprefix(_TAG)
    if kind == "str":
        return event.value
    value = resolve(event.value)
    if kind not in _TAGGED:
        raise _broken(f"the tag {event.tag} is not accepted", event)
    if not isinstance(value, _TAGGED[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise _broken(f"{json.dumps(event.value)} is no {kind}", event)
    return value


def resolve(text: str) -> Any:
    """The value of a plain scalar."""
    if text in _NAMED:
        return _NAMED[text]
    if len(text) > _LONGEST_NUMBER or text[0] not in "-+.0123456789":
        return text
    digits = text.replace("_", "")
    for form, base in _INTEGERS:
        if form.fullmatch(digits):
            return int(digits.replace("o", "").replace("O", ""), base)
    number = float(digits) if _FLOAT.fullmatch(digits) else math.inf
    return number if math.isfinite(number) else text


def _broken(problem: str, event: Any) -> BrokenText:
    return BrokenText(problem, event.start_mark.line + 1, event.start_mark.column + 1)


def _unreadable(error: yaml.YAMLError) -> BrokenText:
    if not isinstance(error, yaml.MarkedYAMLError):
        return BrokenText(" ".join(str(error).split()))
    mark = error.problem_mark or error.context_mark
    problem = " ".join(part for part in (error.problem, error.context) if part)
    return BrokenText(problem, mark.line + 1, mark.column + 1) if mark else BrokenText(problem)


def _json(text: str) -> list[Any] | None:
    """The values of a JSON text, one after the other, as jq prints them; None where it is not JSON.

    Most JSON is YAML and never comes here, but tabs, surrogate pairs and values without separators are not.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    values, place = [], _space(text, 0)
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, place)
            values.append(value)
            place = _space(text, place)
    except ValueError:
        return None
    except RecursionError as exc:
        raise BrokenText(_TOO_DEEP) from exc
    _bound(values)
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise BrokenText("holds half of a surrogate pair (\\ud800 to \\udfff), which is no character") from exc
    return values


def _space(text: str, place: int) -> int:
    found = _JSON_SPACE.match(text, place)
    return found.end() if found else place


def _bound(values: list[Any]) -> None:
    level, count = values, 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        level = [child for item in level for child in _children(item)]
        if count > MAX_VALUES:
            raise BrokenText(_TOO_MUCH)
    if level:
        raise BrokenText(_TOO_DEEP)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, item in pairs:
        if name in value:
            raise BrokenText(f"the key {json.dumps(name)} is given twice")
        value[name] = item
    return value
