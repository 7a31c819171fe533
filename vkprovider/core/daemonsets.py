"""What becomes of the pods of DaemonSets: network plugins, proxies and exporters that are sent to every node.

They are made for machines that are nodes with all they have, and most fail or do harm on a virtual one. IGNORE leaves
them alone: Pending, with one event that says how to keep them away. They are not rejected, for a pod that has Failed is
deleted and created anew by the DaemonSet controller, and again, for ever (pkg/controller/daemon podsShouldBeOnNode):
each round costs a pod, its events and a scheduling. Nor are they shown as Succeeded, which is answered in the same way.
A pod that stays Pending is the one state that the controller has nothing to do about.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from vkprovider.core.actions import PodEvent
from vkprovider.core.resources import qos_class
from vkprovider.model.pod import Pod

IGNORED = "DaemonSetIgnored"


class DaemonSetPolicy(StrEnum):
    """IGNORE leaves a DaemonSet's pods Pending, RUN treats them as any other."""

    IGNORE = "ignore"
    RUN = "run"


def daemonset_owned(pod: Pod) -> bool:
    """Whether a DaemonSet controls the pod, Kubernetes' own or one of another group, as OpenKruise's."""
    return bool(_owner(pod))


def is_ignored(pod: Pod, policy: DaemonSetPolicy) -> bool:
    """Whether the pod is to be left alone. To be asked only for pods that have no containers here.

    The API server waits for the node to confirm the deletion of a Pending pod that is bound to it: one that is ignored
    must be deleted with a grace period of 0 as soon as it has a deletionTimestamp.
    """
    return policy is DaemonSetPolicy.IGNORE and daemonset_owned(pod)


def ignored_event(pod: Pod, node: str) -> PodEvent | None:
    """What its owner should know, or None where the pod's status says that it has been told already."""
    if (pod.raw.get("status") or {}).get("reason") == IGNORED:
        return None
    return PodEvent(type="Warning", reason=IGNORED, message=_message(pod, node))


def ignored_status(pod: Pod, node: str) -> dict[str, Any]:
    """The v1.PodStatus of an ignored pod. ``kubectl get pods`` shows the reason in the column STATUS."""
    status: dict[str, Any] = {
        "phase": "Pending",
        "reason": IGNORED,
        "message": _message(pod, node),
        "qosClass": pod.status.qos_class or qos_class(pod.spec),
    }
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    return status


def _message(pod: Pod, node: str) -> str:
    return (
        f"node {node} leaves pods of DaemonSets alone: to keep DaemonSet {_owner(pod)} away from it, give its pods a "
        "required node affinity with the expression type NotIn [virtual-kubelet]; to have them run, start vkprovider "
        "with --daemonsets=run"
    )


def _owner(pod: Pod) -> str:
    owners = pod.metadata.owner_references
    return next((owner.name for owner in owners if owner.controller and owner.kind == "DaemonSet"), "")
