"""What a pod says of the SidecarSets that have injected it, in annotations (pkg/control/sidecarcontrol/util.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from vkprovider.errors import SpecError
from vkprovider.sidecarset.hashes import HASH, HASH_WITHOUT_IMAGE, set_hashes
from vkprovider.sidecarset.model import SidecarSet
from vkprovider.sidecarset.twins import WORKING, is_doubled, twin_annotations, twin_names

LISTED = "kruise.io/sidecarset-injected-list"

Annotations = Mapping[str, str]


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A set's line in the two annotations of hashes, with the fields in OpenKruise's order."""

    update_timestamp: str | None = None
    hash: str = ""
    sidecar_set_name: str = ""
    sidecar_list: tuple[str, ...] | None = None
    controller_revision: str | msgspec.UnsetType = msgspec.UNSET


def injected_sets(pod: Mapping[str, Any]) -> frozenset[str]:
    """The sets that a pod says have injected it. Anybody who makes pods can say so."""
    return _listed((pod.get("metadata") or {}).get("annotations") or {})


def recorded_hash(pod: Mapping[str, Any], key: str, name: str) -> str:
    """The hash of a set, as the annotation ``key`` has it; "" if it has none. Raises SpecError if it cannot be read."""
    found = _read((pod.get("metadata") or {}).get("annotations") or {}, key).get(name)
    return found.hash if found is not None else ""


def recorded_revision(pod: Mapping[str, Any], name: str) -> str:
    """The ControllerRevision of a set that the pod was injected by, "" if it names none. Raises SpecError likewise."""
    found = _read((pod.get("metadata") or {}).get("annotations") or {}, HASH).get(name)
    return (found.controller_revision or "") if found is not None else ""


def records(sets: Sequence[SidecarSet], annotations: Annotations, now: datetime) -> dict[str, str]:
    """The annotations of hashes and the list, with these sets added. Raises SpecError where they cannot be read."""
    hashes, without_image = _read(annotations, HASH), _read(annotations, HASH_WITHOUT_IMAGE)
    for each in sets:
        own = set_hashes(each)
        record = _Record(
            update_timestamp=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            hash=own[HASH],
            sidecar_set_name=each.name,
            sidecar_list=_sidecar_names(each),
            controller_revision=each.status.latest_revision or msgspec.UNSET,
        )
        hashes[each.name] = record
        without_image[each.name] = msgspec.structs.replace(
            record, hash=own[HASH_WITHOUT_IMAGE], controller_revision=msgspec.UNSET
        )
    names = _listed(annotations).union(each.name for each in sets)
    return {HASH: _written(hashes), HASH_WITHOUT_IMAGE: _written(without_image), LISTED: ",".join(sorted(names))}


def twin_records(sets: Sequence[SidecarSet], annotations: Annotations) -> dict[str, str]:
    """The annotations of sidecars that are upgraded hot: their versions, and which of two twins works."""
    hot = [
        container.name
        for each in sets
        for init, group in ((True, each.spec.init_containers), (False, each.spec.containers))
        for container in group
        if is_doubled(container, init=init)
    ]
    if not hot:
        return {}
    made = {key: value for name in hot for key, value in twin_annotations(name).items()}
    working = working_twins(annotations) | {name: twin_names(name)[0] for name in hot}
    return made | {WORKING: msgspec.json.encode(working, order="sorted").decode()}


def _listed(annotations: Annotations) -> frozenset[str]:
    return frozenset((annotations.get(LISTED) or "").split(",")) - {""}


def _sidecar_names(sidecars: SidecarSet) -> tuple[str, ...]:
    """The sidecars of a set, native ones included; those that are upgraded hot by the name the set gives them."""
    natives = (container.name for container in sidecars.spec.init_containers if container.native)
    return tuple(sorted({*natives, *(container.name for container in sidecars.spec.containers)}))


def _read(annotations: Annotations, key: str) -> dict[str, _Record]:
    """What is recorded; a set may also be recorded by its hash alone. Raises SpecError where it is anything else."""
    text = annotations.get(key) or "{}"
    try:
        found = msgspec.json.decode(text, type=dict[str, _Record | str])
    except msgspec.MsgspecError as exc:
        raise SpecError(f"invalid annotations[{key}] value {text}, unmarshal failed: {exc}: take it away") from exc
    return {
        name: _Record(hash=record, sidecar_set_name=name) if isinstance(record, str) else record
        for name, record in found.items()
    }


def _written(found: Mapping[str, _Record]) -> str:
    """Sets in the order of their names, the fields of each in that of ``_Record``."""
    return msgspec.json.encode({name: found[name] for name in sorted(found)}).decode()


def working_twins(annotations: Annotations) -> dict[str, str]:
    """Which twin works, by the sidecar's name; what cannot be read counts as nothing, as in OpenKruise."""
    try:
        return msgspec.json.decode(annotations.get(WORKING) or "{}", type=dict[str, str])
    except msgspec.MsgspecError:
        return {}
