"""The counts behind ``prober_probe_total``."""

from __future__ import annotations

import msgspec

from tests.core.given import container, pod, running
from tests.core.told import EXEC
from vkprovider.core.actions import ProbeTarget
from vkprovider.core.probing import Outcome
from vkprovider.model.probe import Probe
from vkprovider.model.refs import PodUID
from vkprovider.node.probe_tally import ProbeLabels, ProbeTally

POD = pod(container("app", livenessProbe=EXEC))
(APP,) = running(POD, "app")
TARGET = ProbeTarget(
    container_id=APP.id, container="app", kind="liveness", probe=Probe(), started_at=APP.created_at, pod_ip="10.0.0.7"
)


def labels(result: str) -> ProbeLabels:
    return ProbeLabels(
        probe_type="Liveness", result=result, container="app", pod="p", namespace="default", pod_uid=PodUID("u")
    )


def test_a_warning_is_a_success_and_what_broke_is_not_counted():
    tally = ProbeTally()
    for outcome in (Outcome.SUCCESS, Outcome.WARNING, Outcome.FAILURE, Outcome.ERROR):
        tally.count(POD, TARGET, outcome)
    assert tally.totals == {labels("successful"): 2, labels("failed"): 1}


def test_the_counts_go_with_their_pod():
    other = msgspec.structs.replace(POD, metadata=msgspec.structs.replace(POD.metadata, uid=PodUID("v")))
    tally = ProbeTally()
    tally.count(POD, TARGET, Outcome.SUCCESS)
    tally.count(other, TARGET, Outcome.SUCCESS)
    tally.forget(POD.uid)
    assert [found.pod_uid for found in tally.totals] == ["v"]
