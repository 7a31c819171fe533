"""What a SidecarSet may not do beside others, or to what it was before: OpenKruise refuses it when it is written.

pkg/webhook/sidecarset/validating/sidecarset_create_update_handler.go validateSidecarConflict,
validateSidecarContainerConflict; pkg/util/selector.go IsSelectorOverlapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from vkprovider.model.findings import Finding, invalid
from vkprovider.model.selectors import LabelSelector
from vkprovider.sidecarset.model import OVERWRITE, RETAIN, PatchPodMetadata, SidecarSet

_ANY = None  # of the values a label may have


def with_others(sidecars: SidecarSet, others: Iterable[SidecarSet]) -> Iterator[Finding]:
    """Containers, volumes and annotations that another set, which may match the same pods, has too."""
    for other in others:
        if other.name == sidecars.name or not may_meet(sidecars, other):
            continue
        own, theirs = sidecars.spec, other.spec
        for group, present in (
            (own.init_containers, theirs.init_containers),
            (own.containers, theirs.containers),
        ):
            taken = {container.name for container in present}
            for container in group:
                if container.name in taken:
                    rule = f"container {container.name} already exist in {other.name}"
                    yield invalid("spec.containers", container.name, rule)
        volumes = other.raw_volumes
        for name, volume in sidecars.raw_volumes.items():
            if volumes.get(name, volume) != volume:
                yield invalid("spec.volumes", name, f"volume {name} is in conflict with sidecarset {other.name}")
        for key in _disputed(own.patch_pod_metadata, theirs.patch_pod_metadata):
            rule = f"annotation {key} is in conflict with sidecarset {other.name}"
            yield invalid("spec.patchPodMetadata", key, rule)


def with_older(sidecars: SidecarSet, older: SidecarSet) -> Iterator[Finding]:
    """Containers that the set did not have before: pods that have been injected cannot get any."""
    before = {container.name: container for container in older.spec.containers}
    for container in sidecars.spec.containers:
        old = before.get(container.name)
        if old is None:
            yield invalid("spec.containers.name", container.name, f"container {container.name} is not found")
        elif old.upgrade_strategy.upgrade_type != container.upgrade_strategy.upgrade_type:
            rule = f"container {container.name} upgradeType is immutable"
            yield invalid("spec.containers.upgradeStrategy.upgradeType", container.name, rule)


def may_meet(one: SidecarSet, other: SidecarSet) -> bool:
    """Whether there could be a pod that both sets match."""
    if one.spec.namespace and other.spec.namespace and one.spec.namespace != other.spec.namespace:
        return False
    pairs = (
        (one.spec.namespace_selector, other.spec.namespace_selector),
        (one.spec.selector, other.spec.selector),
    )
    return all(a is None or b is None or not (_disjoint(a, b) or _disjoint(b, a)) for a, b in pairs)


def _disjoint(one: LabelSelector, other: LabelSelector) -> bool:
    """Whether what ``one`` demands is what ``other`` forbids."""
    demanded = _demanded(one)
    for key, value in other.match_labels.items():
        if key in demanded and not _among(demanded[key], {value}):
            return True
    for requirement in other.match_expressions:
        present, values = requirement.key in demanded, demanded.get(requirement.key, _ANY)
        given = set(requirement.values)
        match requirement.operator:
            case "In" if present and not _among(values, given):
                return True
            case "NotIn" if present and values is not _ANY and values <= given:
                return True
            case "DoesNotExist" if present:
                return True
            case "Exists" if not present:  # not so, but OpenKruise takes it for so, and lets the two sets be
                return True
    return False


def _demanded(selector: LabelSelector) -> Mapping[str, Set[str] | None]:
    """The labels that a selector demands, each with the values it takes."""
    found: dict[str, Set[str] | None] = {key: {value} for key, value in selector.match_labels.items()}
    for requirement in selector.match_expressions:
        if requirement.operator == "In":
            known = found.get(requirement.key, _ANY)
            values = set(requirement.values)
            found[requirement.key] = values if known is _ANY else known & values
        elif requirement.operator == "Exists":
            found.setdefault(requirement.key, _ANY)
    return found


def _among(values: Set[str] | None, given: Set[str]) -> bool:
    return values is _ANY or not values.isdisjoint(given)


def _disputed(own: Sequence[PatchPodMetadata], theirs: Sequence[PatchPodMetadata]) -> Iterator[str]:
    """Annotations that both sets write, if one of them overwrites what is there."""
    taken = {key: patch.patch_policy for patch in theirs if patch.patch_policy != RETAIN for key in patch.annotations}
    for patch in own:
        for key in patch.annotations if patch.patch_policy != RETAIN else ():
            if key in taken and OVERWRITE in (patch.patch_policy, taken[key]):
                yield key
