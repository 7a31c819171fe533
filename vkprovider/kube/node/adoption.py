"""What is to be changed at a Node that exists already. Pure.

As a kubelet does, labels and annotations of one's own are set again and everybody else's are left alone: whatever
users, controllers and other agents have said of the node stays, so does a cordon. Taints a kubelet gives to a new
Node only. Here one that was configured anew replaces the one that was given before, which an annotation remembers;
one that a user has removed meanwhile stays removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vkprovider.core.placement import Taint
from vkprovider.kube.node.object import DEVICES_ANNOTATION, OWN_VERSION, TAINT_ANNOTATION, taint_object
from vkprovider.kube.node.settings import NodeSettings

Json = Mapping[str, Any]


def foreign_kubelet(existing: Json) -> str:
    """The version of another program that has registered under this name, "" if none has."""
    version: str = ((existing.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or ""
    return "" if OWN_VERSION in version else version


def adoption_patch(existing: Json, wanted: Json, settings: NodeSettings) -> dict[str, Any]:
    """The JSON merge patch that makes ``existing`` this node, empty if it is that already.

    It is bound to the version of ``existing`` where it replaces the list of taints, which others change as well.
    """
    metadata: dict[str, Any] = {}
    labels = changed(existing["metadata"].get("labels") or {}, wanted["metadata"]["labels"])
    if labels:
        metadata["labels"] = labels
    present = existing["metadata"].get("annotations") or {}
    offered = ",".join(sorted(offered_devices(existing) | offered_devices(wanted)))
    own = wanted["metadata"]["annotations"] | ({DEVICES_ANNOTATION: offered} if offered else {})
    annotations = changed(present, own)
    patch: dict[str, Any] = {}
    if TAINT_ANNOTATION in annotations:
        if settings.node_restriction:
            del annotations[TAINT_ANNOTATION]  # the API server does not let a node change its taints
        else:
            taints = _taints(existing, settings)
            if taints is not None:
                metadata["resourceVersion"] = existing["metadata"]["resourceVersion"]
                patch["spec"] = {"taints": taints}
    if annotations:
        metadata["annotations"] = annotations
    return patch | ({"metadata": metadata} if metadata else {})


def offered_devices(node: Json) -> set[str]:
    """The extended resources that a Node has or had from us; those that users have given it are not among them."""
    annotated = (node["metadata"].get("annotations") or {}).get(DEVICES_ANNOTATION, "")
    return {name for name in annotated.split(",") if name}


def changed(present: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """What of ``wanted`` is not so."""
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _taints(existing: Json, settings: NodeSettings) -> list[Any] | None:
    """The taints with the configured one in place of the one that was given before; None if they are so already."""
    present: list[Any] = (existing.get("spec") or {}).get("taints") or []
    given = (existing["metadata"].get("annotations") or {}).get(TAINT_ANNOTATION, "")
    kept = [taint for taint in present if _text(taint) != given]
    if settings.taint is not None:
        wanted = taint_object(settings)
        kept = [taint for taint in kept if (taint["key"], taint["effect"]) != (wanted["key"], wanted["effect"])]
        kept.append(wanted)
    return None if kept == present else kept


def _text(taint: Json) -> str:
    return str(Taint(key=taint["key"], value=taint.get("value", ""), effect=taint["effect"]))
