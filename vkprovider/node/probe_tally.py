"""How many attempts of probes came out how: what ``prober_probe_total`` says (pkg/kubelet/prober/worker.go)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from vkprovider.core.actions import ProbeTarget
from vkprovider.core.probing import Outcome
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID

_RESULTS: Mapping[Outcome, str] = {
    Outcome.SUCCESS: "successful",
    Outcome.WARNING: "successful",
    Outcome.FAILURE: "failed",
}


class ProbeLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of one series, with the names that upstream gives them. ``probe_type`` is Liveness, Readiness or
    Startup; ``result`` is successful or failed.
    """

    probe_type: str
    result: str
    container: str
    pod: str
    namespace: str
    pod_uid: PodUID


class ProbeTally:
    """Counts the attempts of all pods of a node, as long as the pods are there."""

    def __init__(self) -> None:
        self._totals: Counter[ProbeLabels] = Counter()

    @property
    def totals(self) -> Mapping[ProbeLabels, int]:
        return self._totals

    def count(self, pod: Pod, target: ProbeTarget, outcome: Outcome) -> None:
        """Count one attempt. One that broke says nothing and is not counted, as upstream."""
        result = _RESULTS.get(outcome)
        if result is None:
            return
        labels = ProbeLabels(
            probe_type=target.kind.capitalize(),
            result=result,
            container=target.container,
            pod=pod.metadata.name,
            namespace=pod.metadata.namespace,
            pod_uid=pod.uid,
        )
        self._totals[labels] += 1

    def forget(self, uid: PodUID) -> None:
        """Drop the series of a pod that is gone."""
        for labels in [labels for labels in self._totals if labels.pod_uid == uid]:
            del self._totals[labels]
