"""What is counted of the steps that workers take: how often, how long, and how many failed."""

from __future__ import annotations

from collections.abc import Sequence

from vkprovider.core import actions as a
from vkprovider.telemetry import catalogue as c
from vkprovider.telemetry.meter import Meter
from vkprovider.telemetry.words import ACTED, FAILED, IDLE

FAILURES = (a.ActionFailed, a.HookFailed, a.ResizeFailed, a.SandboxFailed, a.StartFailed, a.VolumesFailed)
ALL_VOLUMES = ("vkprovider", "volumes_prepare")  # of a pod are made at once, and by no plugin


class StepNumbers:
    """A ``Stopwatch`` that counts."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def looked(self, causes: Sequence[str], decision: a.Decision | None, waited: float, seconds: float) -> None:
        self._meter.observe(c.POD_WORKER, seconds, _operation(causes))
        self._meter.count(c.RECONCILES, _result(decision))
        for cause in causes:
            self._meter.count(c.RECONCILE_CAUSES, cause)
        self._meter.observe(c.RECONCILE_DELAY, waited)

    def acted(self, action: a.Action, news: Sequence[a.News], seconds: float) -> None:
        name, failed = type(action).__name__, any(isinstance(each, FAILURES) for each in news)
        self._meter.observe(c.ACTIONS, seconds, name)
        self._meter.count(c.ACTION_FAILURES, name, by=failed)
        if isinstance(action, a.PrepareVolumes):
            self._meter.observe(
                c.STORAGE_SECONDS, seconds, *ALL_VOLUMES, "fail-unknown" if failed else "success", "false"
            )
            self._meter.count(c.STORAGE_ERRORS, *ALL_VOLUMES, by=failed)


def _operation(causes: Sequence[str]) -> str:
    """What a look is about, in the kubelet's words (pkg/kubelet/types/pod_update.go SyncPodType)."""
    if "start" in causes:
        return "create"
    return "update" if "pod" in causes else "sync"


def _result(decision: a.Decision | None) -> str:
    if decision is None:
        return FAILED
    return ACTED if decision.actions else IDLE
