"""Whether an ended container runs again, and after which delay.

The delay is a label on each instance, so that the crash back-off survives a restart of vkprovider, which upstream's
does not. Rules: pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff, ShouldContainerBeRestarted).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vkprovider.core.record import Stop
from vkprovider.core.sidecars import Kind, Role
from vkprovider.core.view import CoreSettings
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod

RESET_AFTER = timedelta(seconds=600)  # a container that ran this long starts over with no back-off

# Why a single container is stopped.
DEFINITION, RESIZE = "definition", "resize"  # another image, or resources that need a new instance
LIVENESS, STARTUP = "liveness", "startup"
HOOK = "hook"  # its postStart failed
UNKNOWN = "unknown"
SANDBOX = "sandbox"  # its namespaces are gone

ANEW = (DEFINITION, RESIZE)  # restarted even under Never
PROBES = (LIVENESS, STARTUP)


def ended_at(instance: ContainerState) -> datetime:
    """When it ended; one that never ran did when it was made."""
    return instance.finished_at or instance.created_at


def failed(instance: ContainerState) -> bool:
    """Whether an ended instance counts as failed: by its code, or out of memory even with code 0."""
    return instance.exit_code != 0 or instance.oom_killed


def policy(pod: Pod, role: Role) -> str:
    """The restart policy of a container: its own if it has one, else the pod's."""
    return role.container.restart_policy or pod.spec.restart_policy


def restarts(pod: Pod, role: Role, instance: ContainerState, stop: Stop | None) -> bool:
    """Whether an ended instance is followed by another while its pod lives.

    One that was stopped to be replaced is, whatever it ended with: upstream starts its successor in the same breath.
    Rules for exit codes come before the container's policy (pkg/api/v1/pod/util.go ContainerShouldRestart), and say
    nothing of an instance that a probe had killed.
    """
    if role.kind is Kind.EPHEMERAL:
        return False
    if role.sidecar or (stop is not None and stop.cause in ANEW):
        return True
    if role.kind is Kind.INIT:
        return failed(instance) and (_by_rule(role, instance.exit_code) or policy(pod, role) != "Never")
    if stop is not None and stop.cause == UNKNOWN:
        return True
    if stop is not None and stop.cause in (*PROBES, SANDBOX):
        return policy(pod, role) != "Never"
    if _by_rule(role, instance.exit_code):
        return True
    return policy(pod, role) == "Always" or (policy(pod, role) == "OnFailure" and instance.exit_code != 0)


def restart_delay(
    instance: ContainerState, before: ContainerState | None, stop: Stop | None, wanted_hash: str, settings: CoreSettings
) -> timedelta:
    """How long after its end the next instance must wait; ``before`` is the instance that it followed itself.

    The first restart is at once, as upstream, and so is one with another image or other resources, and one after ten
    minutes. Where vkprovider stopped the instance itself, that end does not count: what must be over is the back-off
    that began when ``before`` ended. So a container that fails its probe again and again backs off in the end.
    """
    if instance.spec_hash != wanted_hash or _ran_long(instance) or (stop is not None and stop.cause in ANEW):
        return timedelta()
    delay = timedelta(seconds=min(instance.backoff_seconds, settings.backoff_limit))
    if _replaced(stop) and (before is None or ended_at(instance) - ended_at(before) >= delay):
        return timedelta()
    return delay


def next_backoff_seconds(
    instance: ContainerState | None,
    before: ContainerState | None,
    stop: Stop | None,
    wanted_hash: str,
    settings: CoreSettings,
) -> int:
    """The label of the instance that follows ``instance``: the delay its own restart will have to wait.

    A first instance that vkprovider stopped itself leaves it as it was: nothing has crashed yet.
    """
    if instance is None:
        return 0
    begins = instance.spec_hash != wanted_hash or (stop is not None and stop.cause == RESIZE)
    if _replaced(stop) and before is None:
        return 0 if begins else instance.backoff_seconds
    if begins or _ran_long(instance) or instance.backoff_seconds == 0:
        return settings.backoff_first
    return min(instance.backoff_seconds * 2, settings.backoff_limit)


def _by_rule(role: Role, code: int) -> bool:
    """Whether a rule restarts a container that ended with this exit code."""
    return any(rule.restarts(code) for rule in role.container.restart_policy_rules)


def _replaced(stop: Stop | None) -> bool:
    """Whether vkprovider stopped an instance itself. One whose postStart failed counts as crashed."""
    return stop is not None and stop.cause != HOOK


def _ran_long(instance: ContainerState) -> bool:
    if instance.started_at is None or instance.finished_at is None:
        return False
    return instance.finished_at - instance.started_at > RESET_AFTER
