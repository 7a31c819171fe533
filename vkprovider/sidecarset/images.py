"""How the images of a pod's sidecars are changed: one at once, or of two twins first the one that waits.

pkg/control/sidecarcontrol/{sidecarset_control,util_hotupgrade}.go. The pod says in its annotations what was changed, so
whoever looks next, after any crash, knows what is left to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from vkprovider.sidecarset.hashes import HASH, set_hashes
from vkprovider.sidecarset.model import RETAIN, Raw, SidecarContainer, SidecarSet
from vkprovider.sidecarset.pod_metadata import patched
from vkprovider.sidecarset.records import records, working_twins
from vkprovider.sidecarset.twins import WORKING, twin_names, version_annotations

RESET = "ResetContainerSucceed"
UPDATE_STATE = "kruise.io/sidecarset-inplace-update-state"


class _Replaced(msgspec.Struct, frozen=True):
    """What a container ran before its image was changed."""

    image_id: str = msgspec.field(default="", name="imageID")


class _UpdateState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a pod says of a set's last change of images."""

    revision: str = ""
    update_timestamp: str | None = None
    last_container_statuses: dict[str, _Replaced] = {}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod's containers are to run from now on. ``reason`` is that of the event, "" for none."""

    pod: Raw
    images: dict[str, str]
    annotations: dict[str, str]
    reason: str = ""

    def patch(self) -> Raw:
        """As a strategic merge patch, refused by the API server if the pod is no longer what was looked at."""
        version = self.pod["metadata"]["resourceVersion"]
        containers = [{"name": name, "image": image} for name, image in self.images.items()]
        return {
            "metadata": {"resourceVersion": version, "annotations": self.annotations},
            "spec": {"containers": containers},
        }


def with_new_images(of: SidecarSet, pod: Raw, now: datetime) -> Change:
    """The set's images; a sidecar that is upgraded hot gets its new one in the twin that waits.

    Raises SpecError where the pod's hashes cannot be read.
    """
    annotations: Mapping[str, str] = pod["metadata"].get("annotations") or {}
    images: dict[str, str] = {}
    told: dict[str, str] = {}
    working = working_twins(annotations)
    for rules in of.spec.containers:
        if not rules.hot:
            images[rules.name] = rules.image
            continue
        if image_of(pod, working.get(rules.name, "")) == rules.image:
            continue
        new, old = _next_twin(rules, pod, working.get(rules.name, ""))
        images[new] = rules.image
        working[rules.name] = new
        told |= _versions(of, annotations, new, old)
    changed = {name: image for name, image in images.items() if image != image_of(pod, name)}
    if told:
        told[WORKING] = _json(working)
    patches = [patch for patch in of.spec.patch_pod_metadata if patch.patch_policy != RETAIN]
    again = {key: value for key, value in patched(annotations, patches).items() if annotations.get(key) != value}
    state = _update_states(of, pod, changed, now)
    return Change(pod=pod, images=changed, annotations={**again, **records([of], annotations, now), **told, **state})


def emptied(of: SidecarSet, pod: Raw) -> Change | None:
    """The twins that work no more get the empty image; None if all have it."""
    working = working_twins(pod["metadata"].get("annotations") or {})
    images: dict[str, str] = {}
    told: dict[str, str] = {}
    for rules in of.spec.containers:
        works = working.get(rules.name, "")
        if not rules.hot or works not in twin_names(rules.name):
            continue
        (idle,) = set(twin_names(rules.name)) - {works}
        empty = rules.upgrade_strategy.hot_upgrade_empty_image
        if image_of(pod, idle) != empty:
            images[idle] = empty
            told |= {version_annotations(idle)[0]: "0", version_annotations(works)[1]: "0"}
    return Change(pod=pod, images=images, annotations=told, reason=RESET) if images else None


def image_of(pod: Mapping[str, Any], name: str) -> str:
    """What a container of the pod is to run."""
    return next((str(c.get("image", "")) for c in pod["spec"]["containers"] if c["name"] == name), "")


def _next_twin(rules: SidecarContainer, pod: Raw, working: str) -> tuple[str, str]:
    """The twin to change and the other: the one with the empty image, else the one not ready or not yet what it is to
    be, else not working.
    """
    first, second = twin_names(rules.name)
    empty = rules.upgrade_strategy.hot_upgrade_empty_image
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    there = {status["name"]: status.get("image") for status in statuses if status.get("ready")}
    unready = {name for name in (first, second) if there.get(name) != image_of(pod, name)}
    for is_due in (lambda n: image_of(pod, n) == empty, lambda n: n in unready, lambda n: n != working):
        due = [name for name in (first, second) if is_due(name)]
        if len(due) == 1:
            return due[0], second if due[0] == first else first
    return second, first


def _versions(of: SidecarSet, annotations: Mapping[str, str], new: str, old: str) -> dict[str, str]:
    """Each twin's version and the other's; a version is that of the set's object, so a later one is larger."""
    version = str(of.raw["metadata"].get("resourceVersion", "1"))
    before = annotations.get(version_annotations(old)[0], "0")
    mine, others = version_annotations(new)
    return {mine: version, others: before, version_annotations(old)[1]: version}


def _update_states(of: SidecarSet, pod: Raw, changed: Mapping[str, str], now: datetime) -> dict[str, str]:
    """What is there and cannot be read is written anew."""
    text = (pod["metadata"].get("annotations") or {}).get(UPDATE_STATE) or "{}"
    try:
        before = msgspec.json.decode(text, type=dict[str, _UpdateState])
    except msgspec.MsgspecError:
        before = {}
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    ids = {status["name"]: status.get("imageID", "") for status in statuses}
    state = _UpdateState(
        revision=set_hashes(of)[HASH],
        update_timestamp=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        last_container_statuses={name: _Replaced(ids.get(name, "")) for name in changed},
    )
    return {UPDATE_STATE: _json(before | {of.name: state})}


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
