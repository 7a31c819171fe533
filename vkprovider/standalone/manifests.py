"""What ``vkprovider run`` is given: files of Pods, Jobs and Deployments, of ConfigMaps, Secrets and RuntimeClasses, and
of SidecarSets with their bindings, read whole before anything is made.

Everything that is wrong is said at once, a line for each problem, with file, document and field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from vkprovider.core.trust_anchors import BUNDLE
from vkprovider.errors import SpecError
from vkprovider.model.findings import Finding, duplicate
from vkprovider.model.refs import ObjectRef
from vkprovider.standalone.admission import admission_findings
from vkprovider.standalone.deployments import deployment_pods
from vkprovider.standalone.kinds import KINDS, LIST, POD_TEMPLATES, Raw, kind_problems, read
from vkprovider.standalone.objects import REFERRED_KINDS, ManifestObjects, object_ref
from vkprovider.standalone.sidecar_sets import SIDECAR_KINDS, SidecarSets
from vkprovider.standalone.sources import read_text, source_name
from vkprovider.standalone.yaml_reader import BrokenText, documents

MAX_SHOWN = 20
_ENOUGH = 100  # problems after which the rest of the manifests is not looked at
_LINE = 500  # characters
_NAME = 64


class ManifestError(SpecError):
    """Manifests that cannot be run. ``lines`` are the problems, each a single printable line, not all if many."""

    reason = "InvalidManifest"

    def __init__(self, problems: Sequence[str]) -> None:
        self.lines = capped(problems)
        super().__init__("\n".join(self.lines))


class Manifests(msgspec.Struct, frozen=True):
    """The objects, complete as an API server would store them but for uid and creation time, in the order given.

    ``warnings`` are lines about what is not honoured and what is probably not meant.
    """

    objects: tuple[Raw, ...]
    warnings: tuple[str, ...] = ()

    @property
    def pods(self) -> tuple[Raw, ...]:
        """Those that are given, and those of Deployments."""
        given = (raw for raw in self.objects if raw["kind"] == "Pod")
        made = (pod for raw in self.objects if raw["kind"] == "Deployment" for pod in deployment_pods(raw))
        return (*given, *made)

    @property
    def jobs(self) -> tuple[Raw, ...]:
        return tuple(raw for raw in self.objects if raw["kind"] == "Job")

    @property
    def sidecars(self) -> SidecarSets:
        """What the SidecarSets make of the pods."""
        return SidecarSets(self.objects)

    @property
    def store(self) -> ManifestObjects:
        """What pods refer to."""
        return ManifestObjects(self.objects)


class _Entry(NamedTuple):
    """An object as it is written, and where: file, document, place in a List. Or why there is none."""

    where: str
    raw: Any = None
    fault: str = ""

    @property
    def ref(self) -> ObjectRef | None:
        """What the object is called, if it is and can be."""
        if isinstance(self.raw, dict) and isinstance(self.raw.get("metadata") or {}, dict):
            ref = object_ref(self.raw)
            return ref if ref.name and all(isinstance(part, str) for part in ref) else None
        return None

    def __str__(self) -> str:
        raw = self.raw if isinstance(self.raw, dict) else {}
        metadata = raw.get("metadata")
        names = metadata if isinstance(metadata, dict) else {}
        words = (raw.get("kind"), names.get("name") or names.get("generateName"))
        shown = " ".join(word[:_NAME] for word in words if isinstance(word, str) and word)
        return f"{self.where} ({shown})" if shown else self.where


def load(sources: Sequence[str], stdin: BinaryIO | None = None) -> Manifests:
    """Read manifests from files, "-" being ``stdin`` (the process's own by default).

    Raises ManifestError, and nothing else, if there is anything wrong with any of them or nothing to run.
    """
    entries = [entry for source in sources for entry in _entries(source, stdin)]
    accepted, problems, warnings = _judge(entries)
    if not problems and not any(raw["kind"] in POD_TEMPLATES for raw in accepted):
        given = ", ".join(map(source_name, sources)) or "no file is given"
        problems.append(f"{given}: nothing to run: there is no Pod, no Job and no Deployment")
    if problems:
        raise ManifestError(problems)
    return Manifests(accepted, capped(warnings))


def capped(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines, each made printable, and how many are left out."""
    shown = [_one_line(line) for line in lines[:MAX_SHOWN]]
    if len(lines) > MAX_SHOWN:
        at_least = "at least " if len(lines) >= _ENOUGH else ""
        shown.append(f"and {at_least}{len(lines) - MAX_SHOWN} more")
    return tuple(shown)


def _one_line(text: str) -> str:
    """No control character of a manifest reaches a terminal, and no value fills the screen."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: _LINE + 1])
    return line if len(line) <= _LINE else line[:_LINE] + "..."


def _entries(source: str, stdin: BinaryIO | None) -> Iterator[_Entry]:
    name, number, empty = source_name(source), 0, True
    try:
        for number, document in enumerate(documents(read_text(source, stdin)), 1):
            if document is not None:
                empty = False
                yield from _items(document, f"{name}: document {number}")
    except BrokenText as exc:
        yield _Entry(f"{name}: document {number + 1}", fault=str(exc))
    except SpecError as exc:
        yield _Entry(name, fault=exc.message)
    else:
        if empty:
            yield _Entry(name, fault="holds no objects")


def _items(document: Any, where: str) -> Iterator[_Entry]:
    """The objects of a document: itself, or what a List holds. Items of a PodList and its like may omit their kind."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if not isinstance(kind, str) or not (kind == LIST or (kind.endswith(LIST) and kind.removesuffix(LIST) in KINDS)):
        yield _Entry(where, document)
        return
    items = document.get("items") or []
    if not isinstance(items, list):
        yield _Entry(f"{where} ({kind})", fault="items: must be a list")
        return
    known = KINDS.get(kind.removesuffix(LIST))
    for place, item in enumerate(items, 1):
        if known is not None and isinstance(item, dict):
            item = {"apiVersion": known.api_version, "kind": kind.removesuffix(LIST)} | item  # noqa: PLW2901
        yield from _items(item, f"{where}, item {place}")


def _judge(entries: Sequence[_Entry]) -> tuple[tuple[Raw, ...], list[str], list[str]]:
    """The objects, complete; the problems; the warnings."""
    keys, bundles, sidecars = dict(_data_keys(entries)), _accepted(entries, (BUNDLE,)), _sidecars(entries)
    accepted, problems, warnings = [], list[str](), list[str]()
    seen: dict[ObjectRef, _Entry] = {}
    for entry in entries:
        if len(problems) >= _ENOUGH:
            break
        found = [Finding("", entry.fault)] if entry.fault else kind_problems(entry.raw)
        if not found:
            reading = read(entry.raw)
            found = [*reading.problems, *_duplicates(entry, seen)]
            found += admission_findings(reading, keys, bundles, sidecars)
            accepted.append(reading.raw)
            warnings += [f"{entry}: {warning}" for warning in reading.warnings]
        problems += [f"{entry}: {finding}" for finding in found]
    return tuple(accepted), problems, warnings


def _duplicates(entry: _Entry, seen: dict[ObjectRef, _Entry]) -> Iterator[Finding]:
    ref = entry.ref
    if ref is not None and seen.setdefault(ref, entry) is not entry:
        path, message = duplicate("metadata.name", ref.name)
        yield Finding(path, f"{message}: this {ref.kind} is also in {seen[ref].where}")


def _sidecars(entries: Iterable[_Entry]) -> SidecarSets:
    """What stands anywhere among the manifests is for all pods; sets that are wrong are told of at their own place."""
    return SidecarSets(_accepted(entries, SIDECAR_KINDS))


def _accepted(entries: Iterable[_Entry], kinds: Collection[str]) -> list[Raw]:
    """The objects of these kinds, complete, but for those that are wrong."""
    known = (entry.raw for entry in entries if not entry.fault and not kind_problems(entry.raw))
    readings = [read(raw) for raw in known if raw["kind"] in kinds]
    return [reading.raw for reading in readings if not reading.problems]


def _data_keys(entries: Iterable[_Entry]) -> Iterator[tuple[ObjectRef, set[str]]]:
    """What there is for pods to refer to, with its keys, be it right or wrong: one problem is not to be told twice."""
    for entry in entries:
        if entry.ref is not None and entry.ref.kind in REFERRED_KINDS:
            data = [entry.raw.get(field) for field in ("data", "binaryData", "stringData")]
            yield entry.ref, {key for part in data if isinstance(part, dict) for key in part}
