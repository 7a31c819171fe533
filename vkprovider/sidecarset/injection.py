"""What becomes of a pod that SidecarSets match (pkg/webhook/pod/mutating/sidecarset.go).

A sidecar takes the place of a container of the pod with its name; of two volumes of one name the pod's own stays.
Sidecars of several sets come in the order of the sets' names, so the same pod and sets always give the same pod.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.errors import SpecError
from vkprovider.sidecarset.model import AFTER, BEFORE, Raw, Sidecar, SidecarSet
from vkprovider.sidecarset.pod_metadata import patched
from vkprovider.sidecarset.records import injected_sets, records, twin_records
from vkprovider.sidecarset.shared import INJECTED, by_name, shared_mounts, transferred, with_mounts
from vkprovider.sidecarset.twins import is_doubled, twins


class _Injected(msgspec.Struct, frozen=True):
    """A container that the pod gets of a set, and whether it goes before the pod's own."""

    container: Raw
    first: bool
    origin: str


def inject(pod: Mapping[str, Any], sets: Sequence[SidecarSet], now: datetime) -> Raw:
    """The pod with the sidecars of ``sets``, all of which match it; those that have injected it already add nothing.

    Raises SpecError where an annotation of the pod cannot be read or merged, for which OpenKruise refuses a pod too,
    and where sets have containers of one name.
    """
    listed = injected_sets(pod)
    due = sorted((each for each in sets if each.name not in listed), key=lambda each: each.name)
    if not due:
        return copy.deepcopy(dict(pod))
    metadata, spec = dict(pod.get("metadata") or {}), dict(pod.get("spec") or {})
    patches = [patch for each in due for patch in each.spec.patch_pod_metadata]
    annotations = patched(metadata.get("annotations") or {}, patches)
    metadata["annotations"] = annotations | records(due, annotations, now) | twin_records(due, annotations)
    plain, init = (_distinct(_containers(due, pod, init=init)) for init in (False, True))
    if init:
        init.sort(key=lambda each: str(each.container["name"]))
        spec["initContainers"] = _merged(spec.get("initContainers") or [], init)
    spec["containers"] = _merged(spec.get("containers") or [], plain)
    for field, additional in (("volumes", _volumes(due)), ("imagePullSecrets", _pull_secrets(due))):
        if additional:
            spec[field] = by_name(spec.get(field) or [], additional)
    return copy.deepcopy({**pod, "metadata": metadata, "spec": spec})  # the sets cannot be reached through it


def _containers(sets: Sequence[SidecarSet], pod: Mapping[str, Any], *, init: bool) -> Iterator[_Injected]:
    for each in sets:
        for sidecar in each.init_sidecars if init else each.sidecars:
            rules = sidecar.rules
            first = (rules.pod_inject_policy or (AFTER if init else BEFORE)) == BEFORE
            whole = Sidecar(rules, _with_pod(sidecar, pod))
            for container in twins(whole) if is_doubled(rules, init=init) else (whole.container,):
                yield _Injected(container, first, each.name)


def _distinct(injected: Iterable[_Injected]) -> list[_Injected]:
    """All of them. Raises SpecError where two have one name: OpenKruise refuses such sets when they are made."""
    found: dict[str, _Injected] = {}
    for each in injected:
        name = each.container["name"]
        other = found.setdefault(name, each)
        if other is not each:
            raise SpecError(f"SidecarSet {each.origin}: container {name} already exist in {other.origin}: rename it")
    return list(found.values())


def _with_pod(sidecar: Sidecar, pod: Mapping[str, Any]) -> Raw:
    """The sidecar with what it gets of the pod, marked as injected."""
    container = sidecar.container
    mounts, expanded = shared_mounts(sidecar.rules, pod)
    variables = [*(container.get("env") or ()), {"name": INJECTED, "value": "true"}]
    made = container | {"env": by_name(variables, [*transferred(sidecar.rules, pod), *expanded])}
    mounted = with_mounts(container, mounts)
    return made | {"volumeMounts": mounted} if mounted else made


def _merged(own: Sequence[Raw], injected: Sequence[_Injected]) -> list[Raw]:
    """The pod's containers in their order, sidecars before and after them; one of the same name is replaced."""
    sidecars = {each.container["name"]: each.container for each in injected}
    taken = {container.get("name") for container in own}
    new = [each for each in injected if each.container["name"] not in taken]
    before = [each.container for each in new if each.first]
    after = [each.container for each in new if not each.first]
    return [*before, *(sidecars.get(container.get("name"), container) for container in own), *after]


def _volumes(sets: Sequence[SidecarSet]) -> list[Raw]:
    """The volumes that sidecars mount, of each set its own."""
    found: list[Raw] = []
    for each in sets:
        volumes = each.raw_volumes
        for sidecar in (*each.init_sidecars, *each.sidecars):
            uses = (sidecar.container.get(field) or () for field in ("volumeMounts", "volumeDevices"))
            found += [volumes[use["name"]] for group in uses for use in group if use.get("name") in volumes]
    return found


def _pull_secrets(sets: Sequence[SidecarSet]) -> list[Raw]:
    return [secret for each in sets for secret in each.raw["spec"].get("imagePullSecrets") or ()]
