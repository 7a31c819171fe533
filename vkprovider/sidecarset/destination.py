"""Whether a pod is meant for virtual nodes, and what makes sure that it comes to one.

A pod is told of its destination when it is created, before anybody has scheduled it: whoever is meant for us is pinned
to us, so that the label that says so is true from the start. Whoever bears the label without being meant for us loses
it, for SidecarSets go by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Json = dict[str, Any]

VIRTUAL_NODE = "serverless.alibabacloud.com/virtual-node"  # the label; "true" is its value
HOSTNAME = "kubernetes.io/hostname"
_NAME = "metadata.name"


class DestinationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What means virtual nodes: ``labels`` of pods and namespaces, a node's ``type``, the ``nodes`` that there are.

    ``taint`` is the key of the taint that virtual nodes have.
    """

    labels: tuple[tuple[str, str], ...] = (("alibabacloud.com/eci", "true"), ("alibabacloud.com/acs", "true"))
    type: tuple[str, str] = ("type", "virtual-kubelet")
    taint: str = "virtual-kubelet.io/provider"
    nodes: frozenset[str] = frozenset()


def destined(pod: Mapping[str, Any], namespace_labels: Mapping[str, str], settings: DestinationSettings) -> Json:
    """The pod as it is to be created: pinned and labelled where it is meant for virtual nodes, else without the label.

    It is the same pod where it is so already.
    """
    made = dict(pod)
    if is_destined(pod, namespace_labels, settings):
        made["metadata"] = _labelled(pod)
        made["spec"] = _pinned(pod.get("spec") or {}, settings)
    elif is_labelled(pod):
        made["metadata"] = _unlabelled(pod)
    return made


def is_labelled(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has the label of virtual nodes' pods, whatever it says."""
    return VIRTUAL_NODE in _labels(pod)


def is_destined(pod: Mapping[str, Any], namespace_labels: Mapping[str, str], settings: DestinationSettings) -> bool:
    """Whether the pod is meant for virtual nodes.

    A node that it names or demands goes before its labels, and those before its namespace's.
    """
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return spec["nodeName"] in settings.nodes
    demands = _demands(spec, settings)
    if demands is not None:
        return demands
    labels = _labels(pod)
    if any(labels.get(key) == value for key, value in settings.labels):
        return True
    contrary = any(key in labels for key, _ in settings.labels) or HOSTNAME in (spec.get("nodeSelector") or {})
    return not contrary and any(namespace_labels.get(key) == value for key, value in settings.labels)


def _demands(spec: Mapping[str, Any], settings: DestinationSettings) -> bool | None:
    """Whether nodeSelector and required affinity are for virtual nodes (True), against them (False), or neither."""
    selector = spec.get("nodeSelector") or {}
    key, value = settings.type
    if key in selector:
        return bool(selector[key] == value)
    if selector.get(HOSTNAME) in settings.nodes:
        return True
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = [_term(term, settings) for term in required.get("nodeSelectorTerms") or ()]
    if terms and all(term is True for term in terms):
        return True
    return False if terms and all(term is False for term in terms) else None


def _term(term: Mapping[str, Any], settings: DestinationSettings) -> bool | None:
    """The same of one term, whose requirements must all hold."""
    verdicts = [_requirement(each, settings) for each in term.get("matchExpressions") or ()]
    verdicts += [_field(each, settings) for each in term.get("matchFields") or ()]
    if False in verdicts:
        return False
    return True if True in verdicts else None


def _requirement(requirement: Mapping[str, Any], settings: DestinationSettings) -> bool | None:
    key, value = settings.type
    asked, operator, values = requirement["key"], requirement["operator"], set(requirement.get("values") or ())
    if asked == key and operator == "In":
        return values == {value} or (None if value in values else False)
    if asked == key and operator in ("NotIn", "DoesNotExist"):
        return False if operator == "DoesNotExist" or value in values else None
    return True if asked == HOSTNAME and operator == "In" and values <= settings.nodes else None


def _field(requirement: Mapping[str, Any], settings: DestinationSettings) -> bool | None:
    """A node by its name, as the pods of DaemonSets ask for theirs."""
    if requirement["key"] != _NAME or requirement["operator"] != "In":
        return None
    return set(requirement.get("values") or ()) <= settings.nodes


def _labels(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get("labels") or {}


def _labelled(pod: Mapping[str, Any]) -> Json:
    return {**(pod.get("metadata") or {}), "labels": {**_labels(pod), VIRTUAL_NODE: "true"}}


def _unlabelled(pod: Mapping[str, Any]) -> Json:
    return {**pod["metadata"], "labels": {key: value for key, value in _labels(pod).items() if key != VIRTUAL_NODE}}


def _pinned(spec: Mapping[str, Any], settings: DestinationSettings) -> Json:
    key, value = settings.type
    tolerations = list(spec.get("tolerations") or ())
    if not any(_tolerates(each, settings.taint) for each in tolerations):
        tolerations.append({"key": settings.taint, "operator": "Exists"})
    return {**spec, "nodeSelector": {**(spec.get("nodeSelector") or {}), key: value}, "tolerations": tolerations}


def _tolerates(toleration: Mapping[str, Any], taint: str) -> bool:
    """Whether it is for this taint with every value and effect."""
    return (
        toleration.get("operator") == "Exists"
        and not toleration.get("effect")
        and toleration.get("key", "") in ("", taint)
    )
