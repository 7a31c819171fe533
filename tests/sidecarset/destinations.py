"""Pods and where they belong: one table for the decision in Python, for the conditions in CEL, and for the policy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from vkprovider.sidecarset.destination import VIRTUAL_NODE

Json = dict[str, Any]

VIRTUAL, REAL = "virtual-1", "real-1"  # the nodes that there are
ECI, ACS = "alibabacloud.com/eci", "alibabacloud.com/acs"
HOSTNAME = "kubernetes.io/hostname"
LABELLED = {ECI: "true"}  # of a namespace whose pods are meant for virtual nodes


class Case(NamedTuple):
    """``by_name``: that depends on the names of nodes, which the policy does not know."""

    name: str
    destined: bool
    labels: Json = {}
    spec: Json = {}
    labelled_namespace: bool = False
    by_name: bool = False

    @property
    def pod(self) -> Json:
        metadata: Json = {"name": self.name} | ({"labels": dict(self.labels)} if self.labels else {})
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": SPEC | self.spec}


SPEC: Json = {"containers": [{"name": "app", "image": "app"}]}


def required(*terms: Json) -> Json:
    wanted = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": wanted}}


def labels_of_nodes(key: str, operator: str, *values: str) -> Json:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def node_names(*values: str) -> Json:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(values)}]}


def _cases() -> Iterable[Case]:
    yield Case("nothing-said", False)
    yield Case("tolerating", False, spec={"tolerations": [{"operator": "Exists"}]})
    yield Case("forged", False, {VIRTUAL_NODE: "true", "app": "a"})
    yield Case("forged-false", False, {VIRTUAL_NODE: "false"})
    yield Case("eci", True, {ECI: "true", "app": "a"})
    yield Case("acs", True, {ACS: "true"})
    yield Case("eci-not", False, {ECI: "false"})
    yield Case("eci-not-but-acs", True, {ECI: "false", ACS: "true"})
    yield Case("selecting", True, spec={"nodeSelector": {"type": "virtual-kubelet", "zone": "a"}})
    yield Case("selecting-others", False, {ECI: "true"}, {"nodeSelector": {"type": "metal"}})
    yield Case("forged-selecting-others", False, {VIRTUAL_NODE: "true"}, {"nodeSelector": {"type": "metal"}})
    yield Case("named", True, spec={"nodeName": VIRTUAL}, by_name=True)
    yield Case("named-other", False, {ECI: "true", VIRTUAL_NODE: "true"}, {"nodeName": REAL})
    yield Case("hostname", True, spec={"nodeSelector": {HOSTNAME: VIRTUAL}}, by_name=True)
    yield Case("hostname-other", False, spec={"nodeSelector": {HOSTNAME: REAL}})
    affine = labels_of_nodes("type", "In", "virtual-kubelet")
    yield Case("affine", True, spec=required(affine))
    yield Case("affine-perhaps", False, spec=required(affine, labels_of_nodes("zone", "In", "a")))
    yield Case("affine-to-either", False, spec=required(labels_of_nodes("type", "In", "virtual-kubelet", "metal")))
    yield Case("affine-either-and-eci", True, {ECI: "true"}, required(labels_of_nodes("zone", "Exists")))
    yield Case("averse", False, {ECI: "true"}, required(labels_of_nodes("type", "NotIn", "virtual-kubelet")))
    yield Case("affine-to-hostname", True, spec=required(labels_of_nodes(HOSTNAME, "In", VIRTUAL)), by_name=True)
    yield Case("affine-to-some", False, spec=required(labels_of_nodes(HOSTNAME, "In", VIRTUAL, REAL)))
    yield Case("of-a-daemonset", True, spec=required(node_names(VIRTUAL)), by_name=True)
    yield Case("of-a-daemonset-elsewhere", False, {ECI: "true"}, required(node_names(REAL)))
    inherited = {"labelled_namespace": True}
    yield Case("inherited", True, **inherited)
    yield Case("inherited-tolerating", True, spec={"tolerations": [{"operator": "Exists"}]}, **inherited)
    yield Case("inherited-not", False, {ECI: "false"}, **inherited)
    yield Case("inherited-named-other", False, spec={"nodeName": REAL}, **inherited)
    yield Case("inherited-hostname-other", False, spec={"nodeSelector": {HOSTNAME: REAL}}, **inherited)
    yield Case("inherited-averse", False, spec=required(labels_of_nodes("type", "DoesNotExist")), **inherited)
    yield Case("inherited-of-a-daemonset", False, spec=required(node_names(REAL)), **inherited)


CASES = tuple(_cases())


def is_as_it_should_be(case: Case, made: Json) -> bool:
    """Whether the pod that came of it is pinned and labelled, or else neither, as the case says."""
    labels, spec = made["metadata"].get("labels", {}), made["spec"]
    wanted = {key: value for key, value in case.labels.items() if key != VIRTUAL_NODE}
    selector = case.spec.get("nodeSelector", {})
    if case.destined:
        wanted, selector = wanted | {VIRTUAL_NODE: "true"}, selector | {"type": "virtual-kubelet"}
    tolerations = [each for each in spec.get("tolerations", ()) if each.get("key") == "virtual-kubelet.io/provider"]
    anything = {"operator": "Exists"} in spec.get("tolerations", ())
    tolerant = bool(tolerations) == case.destined or anything
    return labels == wanted and spec.get("nodeSelector", {}) == selector and tolerant
