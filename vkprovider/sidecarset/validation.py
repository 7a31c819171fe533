"""What is wrong with a SidecarSet by itself, in OpenKruise's words.

pkg/webhook/sidecarset/validating/sidecarset_create_update_handler.go. How it gets on with other sets is the business
of ``conflicts``. The list of annotations that sets may patch, which OpenKruise keeps in a ConfigMap of its own, is not
looked for: here they may patch any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vkprovider.model import defaults, names
from vkprovider.model.fields import field_names
from vkprovider.model.findings import Finding, each, forbidden, invalid, one_of, required
from vkprovider.model.pod import decode_pod
from vkprovider.model.selectors import LabelSelector, is_empty, selector_findings
from vkprovider.model.validation import marks_findings, spec_findings
from vkprovider.model.volume import Volume
from vkprovider.sidecarset.model import (
    AFTER,
    BEFORE,
    COLD,
    DISABLED,
    ENABLED,
    HOT,
    MERGE,
    NOT_UPDATE,
    OVERWRITE,
    RETAIN,
    ROLLING,
    InjectRevision,
    SidecarContainer,
    SidecarSet,
    UpdateStrategy,
)

_NAME = r"^[a-zA-Z0-9\-]+$"
_NAME_MAX = 63
_NEWER = ("shareVolumeDevicePolicy", "resourcesPolicy")  # OpenKruise 1.9
_FIELD = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]", re.DOTALL)
_SOURCES = frozenset(field_names(Volume)) - {"name"}
_FAKE = {"name": "test", "image": "busybox"}  # a pod must have a container, a set may have init containers alone


def findings(sidecars: SidecarSet) -> Iterator[Finding]:
    """Everything that OpenKruise would refuse the set for, and what of later versions vkprovider does not do."""
    yield from _name(sidecars.name)
    yield from marks_findings(sidecars.metadata, "metadata")
    spec = sidecars.spec
    if spec.selector is None:
        yield required("spec.selector", "no selector defined for SidecarSet")
    else:
        yield from _selector(spec.selector, "spec.selector")
    if spec.namespace_selector is not None:
        yield from _selector(spec.namespace_selector, "spec.namespaceSelector")
    if spec.injection_strategy.revision is not None:
        yield from _revision(spec.injection_strategy.revision, "spec.injectionStrategy.revision")
    yield from _update_strategy(spec.update_strategy, "spec.updateStrategy")
    if spec.update_strategy.type == ROLLING and any(container.native for container in spec.init_containers):
        rule = "The initContainer in-place upgrade is not currently supported."
        yield required("spec.updateStrategy", f"{rule} Set type to {NOT_UPDATE}")
    yield from _containers(sidecars)
    yield from _patches(sidecars)


def _name(name: str) -> Iterator[Finding]:
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif not re.fullmatch(_NAME, name):
        rule = "sidecarset name must consist of alphanumeric characters or '-'"
        rule += f" (e.g. 'example-com', regex used for validation is '{_NAME}')"
        yield invalid("metadata.name", name, rule)
    if len(name) > _NAME_MAX:
        yield invalid("metadata.name", name, f"must be no more than {_NAME_MAX} characters")


def _selector(selector: LabelSelector, path: str) -> Iterator[Finding]:
    yield from selector_findings(selector, path)
    if is_empty(selector):
        yield invalid(path, {}, "empty selector is not valid for sidecarset.")


def _revision(revision: InjectRevision, path: str) -> Iterator[Finding]:
    """Whether there is such a revision is the business of ``revisions``."""
    if revision.revision_name is None and revision.custom_version is None:
        yield invalid(path, "", "revisionName and customVersion cannot be empty simultaneously")
    if revision.policy not in ("", "Always"):
        rule = f"Invalid policy {revision.policy}, only support 'Always' currently"
        yield invalid(f"{path}.policy", revision.policy, rule)


def _update_strategy(strategy: UpdateStrategy, path: str) -> Iterator[Finding]:
    yield from one_of(f"{path}.type", strategy.type, (NOT_UPDATE, ROLLING))
    if strategy.type != ROLLING:
        return
    if strategy.partition not in (None, 0) and strategy.selector is not None:
        yield Finding(path, "Invalid value: Partition and Selector cannot be used together")
    if strategy.selector is not None:
        yield from _selector(strategy.selector, f"{path}.selector")
    for field, amount in (("partition", strategy.partition), ("maxUnavailable", strategy.max_unavailable)):
        if isinstance(amount, str) and not re.fullmatch("[0-9]+%", amount):
            yield invalid(f"{path}.{field}", amount, "must be an integer or percentage (e.g '5%')")
        elif isinstance(amount, int) and amount < 0:
            yield invalid(f"{path}.{field}", amount, "must be greater than or equal to 0")


def _containers(sidecars: SidecarSet) -> Iterator[Finding]:
    """Findings of OpenKruise's own fields, then of a pod that would consist of nothing but this set."""
    spec = sidecars.spec
    if not (spec.containers or spec.init_containers):
        yield required("spec", "no initContainer or container defined for SidecarSet")
        return
    for group, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for place, container in enumerate(containers):
            at = f"spec.{group}[{place}]"
            yield from _sidecar(container, at)
            for field in _NEWER:
                if field in sidecars.raw["spec"][group][place]:
                    yield forbidden(f"{at}.{field}", "it is of OpenKruise 1.9; SidecarSets are honoured as of 1.3")
    raw = sidecars.raw["spec"]
    pod: dict[str, Any] = {
        "metadata": {"name": "test"},
        "spec": {field: raw[field] for field in ("initContainers", "containers", "volumes") if raw.get(field)},
    }
    pod["spec"].setdefault("containers", [_FAKE])
    made = defaults.pod(pod)
    for volume in made["spec"].get("volumes") or ():
        if volume.keys().isdisjoint(_SOURCES):
            volume["emptyDir"] = {}  # of a kind that the model does not read: the rest is judged
    yield from spec_findings(decode_pod(made).spec, "spec")


def _sidecar(container: SidecarContainer, path: str) -> Iterator[Finding]:
    policy = container.pod_inject_policy
    if policy not in ("", BEFORE, AFTER):
        yield invalid(f"{path}.podInjectPolicy", policy, "unsupported pod inject policy")
    if container.share_volume_policy.type not in (ENABLED, DISABLED):
        at = f"{path}.shareVolumePolicy.type"
        yield invalid(at, container.share_volume_policy.type, "unsupported share volume policy")
    upgrade = container.upgrade_strategy
    yield from one_of(f"{path}.upgradeStrategy.upgradeType", upgrade.upgrade_type, (COLD, HOT))
    if container.hot and not upgrade.hot_upgrade_empty_image:
        yield required(f"{path}.upgradeStrategy.hotUpgradeEmptyImage", "the image of the container that waits")
    for place, transfer in enumerate(container.transfer_env):
        origin = transfer.source_container_name_from
        if origin is not None and origin.field_ref is not None:
            yield from _field(origin.field_ref.field_path, f"{path}.transferEnv[{place}].fieldRef")


def _field(field: str, path: str) -> Iterator[Finding]:
    """A label or annotation of the pod."""
    keyed = _FIELD.fullmatch(field)
    if not field:
        yield required(f"{path}.fieldPath")
    elif keyed is None:
        rule = "error converting fieldPath: it must be metadata.labels['<KEY>'] or metadata.annotations['<KEY>']"
        yield invalid(f"{path}.fieldPath", field, rule)
    else:
        key = keyed[2].lower() if keyed[1] == "annotations" else keyed[2]
        yield from each(path, keyed[2], names.qualified(key))


def _patches(sidecars: SidecarSet) -> Iterator[Finding]:
    at, seen = "spec.patchPodMetadata", set[str]()
    for place, patch in enumerate(sidecars.spec.patch_pod_metadata):
        if not patch.annotations:
            yield required(at, "no annotations defined for SidecarSet")
        yield from one_of(f"{at}[{place}].patchPolicy", patch.patch_policy, (RETAIN, OVERWRITE, MERGE))
        for key in patch.annotations:
            yield from each(f"{at}[{place}].annotations", key, names.qualified(key.lower()))
            if key in seen:
                yield required(at, f"patch annotation[{key}] already exist")
            seen.add(key)
