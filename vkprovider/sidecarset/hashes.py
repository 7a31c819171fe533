"""The state of a SidecarSet in a word (pkg/control/sidecarcontrol/hash.go)."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

from vkprovider.model.defaults import complete_container
from vkprovider.sidecarset.go_json import go_json, in_go_order
from vkprovider.sidecarset.model import AFTER, BEFORE, COLD, DISABLED, Raw, SidecarSet

HASH = "kruise.io/sidecarset-hash"
HASH_WITHOUT_IMAGE = "kruise.io/sidecarset-hash-without-image"

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery/pkg/util/rand: no vowels, so no words


def set_hashes(sidecars: SidecarSet) -> dict[str, str]:
    """The two annotations of a set: the hash of its containers, and that which an image does not change.

    Raises SpecError where a container has a quantity that is none.
    """
    spec = sidecars.raw["spec"]
    groups = {"containers": _completed(spec.get("containers") or (), BEFORE)}
    if any(container.native for container in sidecars.spec.init_containers):
        groups["initContainers"] = _completed(spec["initContainers"], AFTER)
    imageless = {group: [container | {"image": ""} for container in items] for group, items in groups.items()}
    return {HASH: containers_hash(groups), HASH_WITHOUT_IMAGE: containers_hash(imageless)}


def containers_hash(groups: dict[str, list[Raw]]) -> str:
    """The hash of containers as they are, by the field of the set that holds them."""
    ordered = {group: [in_go_order("SidecarContainer", each) for each in groups[group]] for group in sorted(groups)}
    return safe(hashlib.sha256(go_json(ordered).encode()).hexdigest())


def safe(digits: str) -> str:
    """Digits in letters that make no words (SafeEncodeString)."""
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in digits)


def fnv(text: bytes) -> int:
    """FNV-1 of 32 bits, by which controllers name their revisions (pkg/controller/history/controller_history.go)."""
    found = 2166136261
    for byte in text:
        found = found * 16777619 % (1 << 32) ^ byte
    return found


def _completed(containers: Sequence[Raw], place: str) -> list[Raw]:
    """Containers with what OpenKruise's webhook fills in before it hashes (apis/apps/defaults/v1alpha1.go)."""
    made = []
    for container in copy.deepcopy(list(containers)):
        startup = container.pop("startupProbe", None)  # the one probe that OpenKruise leaves as it is
        complete_container(container)
        for transfer in container.get("transferEnv") or ():
            reference = (transfer.get("sourceContainerNameFrom") or {}).get("fieldRef")
            if reference is not None:
                reference.setdefault("apiVersion", "v1")
        upgrade, share = container.get("upgradeStrategy") or {}, container.get("shareVolumePolicy") or {}
        made.append(
            container
            | ({"startupProbe": startup} if startup else {})
            | {
                "podInjectPolicy": container.get("podInjectPolicy") or place,
                "upgradeStrategy": upgrade | {"upgradeType": upgrade.get("upgradeType") or COLD},
                "shareVolumePolicy": share | {"type": share.get("type") or DISABLED},
            }
        )
    return made
