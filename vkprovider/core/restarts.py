"""Whether an ended container runs again, and after which delay.

The delay is a label on each instance, so that the crash back-off survives a restart of vkprovider, which upstream's
does not. Rules: pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff, ShouldContainerBeRestarted).
"""

from __future__ import annotations

from datetime import timedelta

from vkprovider.core.record import Stop
from vkprovider.core.sidecars import Kind, Role
from vkprovider.core.view import CoreSettings
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod

RESET_AFTER = timedelta(seconds=600)  # a container that ran this long starts over with no back-off
DEFINITION = "definition"  # the cause of a stop for a changed image: restarted even under Never


def failed(instance: ContainerState) -> bool:
    """Whether an ended instance counts as failed: by its code, or out of memory even with code 0."""
    return instance.exit_code != 0 or instance.oom_killed


def restarts(pod: Pod, role: Role, instance: ContainerState, stop: Stop | None) -> bool:
    """Whether an ended instance is followed by another while its pod lives."""
    if role.sidecar or (stop is not None and stop.cause == DEFINITION):
        return True
    policy = pod.spec.restart_policy
    if role.kind is Kind.INIT:
        return failed(instance) and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and instance.exit_code != 0)


def restart_delay(
    role: Role, instance: ContainerState, stop: Stop | None, wanted_hash: str, settings: CoreSettings
) -> timedelta:
    """How long after its end the next instance must wait. The first restart is at once, as upstream.

    None at all where vkprovider stopped the container itself (a probe, a changed image), where the image changed,
    or where it ran for ten minutes. A stopping of the whole pod's sandbox does not count as a crash either.
    """
    if stop is not None or instance.spec_hash != wanted_hash or _ran_long(instance):
        return timedelta()
    return timedelta(seconds=min(instance.backoff_seconds, settings.backoff_limit))


def next_backoff_seconds(instance: ContainerState | None, wanted_hash: str, settings: CoreSettings) -> int:
    """The label of the instance that follows ``instance``: the delay its own restart will have to wait."""
    if instance is None:
        return 0
    if instance.spec_hash != wanted_hash or _ran_long(instance) or instance.backoff_seconds == 0:
        return settings.backoff_first
    return min(instance.backoff_seconds * 2, settings.backoff_limit)


def _ran_long(instance: ContainerState) -> bool:
    if instance.started_at is None or instance.finished_at is None:
        return False
    return instance.finished_at - instance.started_at > RESET_AFTER
