"""A sidecar that is upgraded hot runs as two containers: one works, one waits with an empty image for the next.

pkg/webhook/pod/mutating/sidecarset_hotupgrade.go, pkg/control/sidecarcontrol/util_hotupgrade.go.
"""

from __future__ import annotations

from vkprovider.sidecarset.model import Raw, Sidecar, SidecarContainer

WORKING = "kruise.io/sidecarset-working-hotupgrade-container"  # which of the two works, by the sidecar's name
_VERSION = {"SIDECARSET_VERSION": "version", "SIDECARSET_VERSION_ALT": "versionalt"}  # variable: prefix of annotation


def twin_names(name: str) -> tuple[str, str]:
    return f"{name}-1", f"{name}-2"


def version_annotations(name: str) -> tuple[str, str]:
    """The annotations in which a twin finds its own version and that of the other."""
    version, alternative = (f"{prefix}.sidecarset.kruise.io/{name}" for prefix in _VERSION.values())
    return version, alternative


def is_doubled(rules: SidecarContainer, *, init: bool) -> bool:
    """Whether a sidecar runs twice; of init containers only native sidecars do."""
    return rules.hot and (rules.native or not init)


def twins(sidecar: Sidecar) -> tuple[Raw, Raw]:
    """The two containers; the first has the image of the set and works."""
    working, waiting = twin_names(sidecar.rules.name)
    empty = {"image": sidecar.rules.upgrade_strategy.hot_upgrade_empty_image}
    return _twin(sidecar.container, working), _twin(sidecar.container | empty, waiting)


def twin_annotations(name: str) -> dict[str, str]:
    """What the pod says at first of the twins of a sidecar: version 1 works, 0 is the empty one."""
    working, waiting = twin_names(name)
    first, second = version_annotations(working), version_annotations(waiting)
    return {first[0]: "1", first[1]: "0", second[0]: "0", second[1]: "1"}


def _twin(container: Raw, name: str) -> Raw:
    annotations = zip(_VERSION, version_annotations(name), strict=True)
    versions = [
        {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}}
        for variable, annotation in annotations
    ]
    return container | {"name": name, "env": [*container.get("env", ()), *versions]}
