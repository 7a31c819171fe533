"""What a SidecarSet was before, kept in ControllerRevisions, for new pods that are to be injected by an earlier state.

pkg/control/sidecarcontrol/history_control.go; pkg/controller/sidecarset/sidecarset_processor.go registerLatestRevision,
truncateHistory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import count
from typing import Any

import msgspec

from vkprovider.errors import SpecError
from vkprovider.model.findings import Finding, invalid
from vkprovider.sidecarset.hashes import fnv, safe, set_hashes
from vkprovider.sidecarset.model import InjectRevision, Raw, SidecarSet, sidecar_set, with_status
from vkprovider.sidecarset.pod_metadata import merge_patch

SET_NAME = "kruise.io/sidecarset-name"
CUSTOM_VERSION = "apps.kruise.io/sidecarset-custom-version"
HASH = "controller.kubernetes.io/hash"
PATH = "spec.injectionStrategy.revision"

_KEPT = ("containers", "imagePullSecrets", "initContainers", "patchPodMetadata", "volumes")


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A state that a set had. ``owner`` is the uid of the set, "" where there is none; the larger ``number`` is later.

    ``data`` is the state, as a merge patch of the set (RFC 7386).
    """

    name: str
    number: int = 0
    owner: str = ""
    set_name: str = ""
    custom_version: str = ""
    data: Raw = {}


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about the revisions of a set, whose status names the ``latest`` one, and how often the names
    of others were in its way. The latest is ``new``, or there and to be patched by ``change``, or as it is to be.
    """

    latest: str
    collisions: int
    new: Raw | None = None
    change: Raw | None = None
    obsolete: tuple[str, ...] = ()


def revision(raw: Raw) -> Revision:
    """Read a ControllerRevision, whosever it is."""
    metadata: Raw = raw["metadata"]
    labels = metadata.get("labels") or {}
    owners = [each["uid"] for each in metadata.get("ownerReferences") or () if each.get("controller")]
    return Revision(
        name=metadata["name"],
        number=raw.get("revision", 0),
        owner=owners[0] if owners else "",
        set_name=labels.get(SET_NAME, ""),
        custom_version=labels.get(CUSTOM_VERSION, ""),
        data=raw.get("data") or {},
    )


def history(of: SidecarSet, known: Sequence[Revision], used: Set[str]) -> History:
    """What is to be done, given all revisions of the namespace, and the names of those that pods were injected by.

    A state that the set had before is the latest again, instead of a new one. Revisions beyond the set's limit go, the
    oldest first, but none that is ``used``, or that new pods are to get. Raises SpecError where a container of the set
    has a quantity that is none.
    """
    own = _own(of, known)
    same = [each for each in own if _text(each.data) == _text(_data(of))]
    number = own[-1].number + 1 if own else 1
    collisions, new = (of.status.collision_count, None) if same else _new(of, {each.name for each in known}, number)
    latest = same[-1] if new is None else revision(new)
    change: Raw = {"revision": number} if latest.number != number and latest != own[-1] else {}
    if _custom_version(of) not in ("", latest.custom_version):
        change["metadata"] = {"labels": {CUSTOM_VERSION: _custom_version(of)}}
    kept = [*(each for each in own if each != latest), latest]
    return History(
        latest=latest.name,
        collisions=collisions,
        new=new,
        change=change or None,
        obsolete=tuple(_obsolete(of, kept, used)),
    )


def only_revision(of: SidecarSet) -> Revision:
    """The first revision of a set that has no others. Raises SpecError as ``history`` does."""
    return revision(_new(of, frozenset(), 1)[1])


def pinned(of: SidecarSet, known: Sequence[Revision]) -> SidecarSet:
    """The set as new pods are to have it: as the revision has it that it names, or as it is.

    Raises SpecError where there is no such revision of it.
    """
    wanted = of.spec.injection_strategy.revision
    if wanted is None:
        return of
    for finding in unknown_revision(of, known):
        raise SpecError(f'SidecarSet "{of.name}": {finding}')
    chosen = _named(of, wanted, known)[-1]
    had = chosen.data.get("spec") or {}
    state = merge_patch(of.raw, {"spec": {key: had.get(key) for key in _KEPT}})
    return with_status(sidecar_set(state), {"latestRevision": chosen.name})


def unknown_revision(of: SidecarSet, known: Sequence[Revision]) -> Iterator[Finding]:
    """A revision that new pods are to get, and that there is not."""
    wanted = of.spec.injection_strategy.revision
    if wanted is None or _named(of, wanted, known):
        return
    there = [f"{each.name} ({each.custom_version})" if each.custom_version else each.name for each in _own(of, known)]
    rule = f"Cannot find specific ControllerRevision; there are: {', '.join(there) or 'none'}"
    yield invalid(PATH, wanted.revision_name or wanted.custom_version or "", rule)


def _named(of: SidecarSet, wanted: InjectRevision, known: Sequence[Revision]) -> list[Revision]:
    """By its name, before its custom version; the latest last."""
    if wanted.revision_name is not None:
        return [each for each in _own(of, known) if each.name == wanted.revision_name]
    return [each for each in _own(of, known) if each.custom_version == wanted.custom_version]


def _own(of: SidecarSet, known: Iterable[Revision]) -> list[Revision]:
    """Those of the set, the latest last; none of another set that had its name."""
    found = (each for each in known if each.set_name == of.name and each.owner in ("", _uid(of)))
    return sorted(found, key=lambda each: (each.number, each.name))


def _obsolete(of: SidecarSet, own: Sequence[Revision], used: Set[str]) -> Iterator[str]:
    surplus = len(own) - max(1, of.spec.revision_history_limit)
    wanted = of.spec.injection_strategy.revision
    chosen = {each.name for each in _named(of, wanted, own)[-1:]} if wanted is not None else set()
    for each in own[:-1]:
        if surplus > 0 and each.name not in used | chosen:
            surplus -= 1
            yield each.name


def _data(of: SidecarSet) -> Raw:
    return {"spec": {key: of.raw["spec"].get(key) for key in _KEPT}}


def _new(of: SidecarSet, taken: Set[str], number: int) -> tuple[int, Raw]:
    """A ControllerRevision of the set as it is, and the collisions until its name was none that is taken."""
    text = _text(_data(of))
    hashes = ((each, safe(str(fnv(text + str(each).encode())))) for each in count(of.status.collision_count))
    collisions, digits = next(found for found in hashes if f"{of.name}-{found[1]}" not in taken)
    owner = {"apiVersion": of.raw.get("apiVersion"), "kind": "SidecarSet", "name": of.name, "uid": _uid(of)}
    metadata = {
        "name": f"{of.name}-{digits}",
        "labels": of.metadata.labels | {SET_NAME: of.name, HASH: digits},
        "annotations": set_hashes(of),
        "ownerReferences": [owner | {"controller": True}],
    }
    kind = {"apiVersion": "apps/v1", "kind": "ControllerRevision"}
    return collisions, kind | {"metadata": metadata, "data": _data(of), "revision": number}


def _text(data: Any) -> bytes:
    return msgspec.json.encode(data, order="sorted")


def _custom_version(of: SidecarSet) -> str:
    return of.metadata.labels.get(CUSTOM_VERSION, "")


def _uid(of: SidecarSet) -> str:
    return str(of.raw["metadata"].get("uid", ""))
