"""The annotations that SidecarSets put on pods (pkg/control/sidecarcontrol/util.go PatchPodMetadata)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vkprovider.errors import SpecError
from vkprovider.sidecarset.model import MERGE, OVERWRITE, PatchPodMetadata


def patched(annotations: Mapping[str, str], patches: Sequence[PatchPodMetadata]) -> dict[str, str]:
    """The annotations as the patches leave them, one after the other.

    Raises SpecError where values that are to be merged are no JSON.
    """
    made = dict(annotations)
    for patch in patches:
        for key, value in patch.annotations.items():
            if patch.patch_policy == OVERWRITE:
                made[key] = value
            elif patch.patch_policy == MERGE:
                made[key] = _merged(key, made[key], value) if made.get(key) else value
            else:
                made.setdefault(key, value)
    return made


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: what ``target`` becomes; a null in the patch takes a key away."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merge_patch(made.get(key), value)
    return made


def _merged(key: str, origin: str, patch: str) -> str:
    target = _parsed(key, origin, "value, which the pod has,")
    made = merge_patch(target, _parsed(key, patch, "patch, which a SidecarSet has,"))
    return json.dumps(made, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _parsed(key: str, text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise SpecError(f"annotation {key}: the {what} must be JSON to be merged: {exc}") from exc
