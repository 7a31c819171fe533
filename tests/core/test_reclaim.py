"""Whom a node ends that runs low, and what it says (pkg/kubelet/eviction/helpers.go)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as tried_with
from hypothesis import strategies as st

from tests.core.given import container, given, pod, running
from vkprovider.core.decide import decide
from vkprovider.core.reclaim import Candidate, ContainerUse, PodUse, choose, pressure_eviction
from vkprovider.core.thresholds import Reading, Signal, Threshold
from vkprovider.model.pod import Pod, decode_pod

MI = 1 << 20
MEMORY = Threshold(Signal.MEMORY, "100Mi")
DISK = Threshold(Signal.NODEFS, "10%")
PIDS = Threshold(Signal.PID, "10%")


def named(name: str, requests: dict[str, str] | None = None, priority: int = 0) -> Pod:
    of = pod(container("app", resources={"requests": requests or {}}), priority=priority)
    return decode_pod({**of.raw, "metadata": {**of.raw["metadata"], "name": name}})


def using(name: str, memory: int = 0, disk: int = 0, processes: int = 0, **fields: Any) -> Candidate:
    usage = PodUse(containers=(ContainerUse(name="app", memory=memory, disk=disk),), disk=disk, processes=processes)
    return Candidate(pod=named(name, **fields), usage=usage)


ASKED = {"memory": "100Mi", "ephemeral-storage": "100Mi"}


@pytest.mark.parametrize(
    ("low", "candidates", "chosen"),
    [
        (MEMORY, [using("small", 10 * MI), using("large", 20 * MI)], "large"),
        (MEMORY, [using("within", 90 * MI, requests=ASKED), using("over", 1 * MI)], "over"),
        (MEMORY, [using("over", 101 * MI, requests=ASKED), using("bare", 50 * MI)], "bare"),
        (MEMORY, [using("dear", 500 * MI, priority=10), using("cheap", 1 * MI)], "cheap"),
        (
            MEMORY,
            [using("cheap", 90 * MI, requests=ASKED), using("dear", 101 * MI, requests=ASKED, priority=9)],
            "dear",
        ),
        (MEMORY, [using("known", 500 * MI), Candidate(pod=named("unknown", priority=9))], "unknown"),
        (MEMORY, [using("a", 50 * MI, requests=ASKED), using("b", 80 * MI, requests=ASKED)], "b"),
        (DISK, [using("small", disk=1, memory=99), using("large", disk=2)], "large"),
        (DISK, [using("within", disk=90 * MI, requests=ASKED), using("over", disk=MI)], "over"),
        (Threshold(Signal.IMAGEFS_INODES, "5%"), [using("small", disk=1), using("large", disk=2)], "large"),
        (PIDS, [using("few", processes=3, memory=99), using("many", processes=30)], "many"),
        (PIDS, [using("cheap", processes=3, priority=-1), using("many", processes=30)], "cheap"),
        (MEMORY, [using("critical", 500 * MI, priority=2_000_000_000), using("small", 1)], "small"),
        (MEMORY, [using("critical", 500 * MI, priority=2_000_001_000)], None),
        (MEMORY, [], None),
    ],
)
def test_who_goes(low: Threshold, candidates: list[Candidate], chosen: str | None) -> None:
    for order in (candidates, candidates[::-1]):
        found = choose(order, low)
        assert (found and found.pod.metadata.name) == chosen


@tried_with(st.lists(st.tuples(st.integers(0, 500), st.integers(-2, 2), st.booleans()), min_size=1, max_size=8))
def test_nobody_goes_before_one_who_uses_more_than_he_said(pods: list[tuple[int, int, bool]]) -> None:
    candidates = [
        using(f"p{n}", memory * MI, priority=priority, requests=ASKED if asks else None)
        for n, (memory, priority, asks) in enumerate(pods)
    ]
    exceeding = [p for p in pods if p[0] > (100 if p[2] else 0)]
    found = choose(candidates, MEMORY)
    assert found is not None
    chosen = pods[candidates.index(found)]
    if exceeding:
        assert chosen in exceeding
        assert chosen[1] == min(p[1] for p in exceeding)
    else:
        assert chosen[1] == min(p[1] for p in pods)


READINGS = {
    Signal.MEMORY: Reading(50 * MI, 1000 * MI),
    Signal.NODEFS: Reading(9 * MI, 100 * MI),
    Signal.NODEFS_INODES: Reading(4, 1000),
    Signal.PID: Reading(9, 100),
}


@pytest.mark.parametrize(
    ("low", "usage", "message"),
    [
        (
            MEMORY,
            using("p", 12 * MI, requests={"memory": "10Mi"}),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
            "Container app was using 12Mi, request is 10Mi, has larger consumption of memory. ",
        ),
        (
            MEMORY,
            using("p", 1000),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
            "Container app was using 1000, request is 0, has larger consumption of memory. ",
        ),
        (
            MEMORY,
            using("p", 9 * MI, requests={"memory": "10Mi"}),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ",
        ),
        (
            DISK,
            using("p", disk=1536),
            "The node was low on resource: ephemeral-storage. Threshold quantity: 10Mi, available: 9Mi. "
            "Container app was using 1536, request is 0, has larger consumption of ephemeral-storage. ",
        ),
        (
            Threshold(Signal.NODEFS_INODES, "5%"),
            using("p", disk=1536),
            "The node was low on resource: inodes. Threshold quantity: 50, available: 4. ",
        ),
        (PIDS, using("p", 1), "The node was low on resource: pids. Threshold quantity: 10, available: 9. "),
        (
            MEMORY,
            Candidate(pod=named("p")),
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ",
        ),
    ],
)
def test_what_is_said(low: Threshold, usage: Candidate, message: str) -> None:
    why = pressure_eviction(usage, low, READINGS)
    assert (why.reason, why.message, why.grace_seconds, why.signal) == ("Evicted", message, 1, str(low.signal))


def test_a_pod_that_asks_as_a_whole_is_named_as_a_whole() -> None:
    of = pod(container("app"), container("other"), resources={"requests": {"memory": "5Mi"}})
    uses = PodUse(containers=(ContainerUse(name="other", memory=MI), ContainerUse(name="app", memory=8 * MI)))
    assert pressure_eviction(Candidate(pod=of, usage=uses), MEMORY, READINGS).message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Pod p was using 9Mi, request is 5Mi, has larger consumption of memory. "
        "Container app was using 8Mi, request is 0, has larger consumption of memory. "
        "Container other was using 1Mi, request is 0, has larger consumption of memory. "
    )


def test_it_is_a_disruption() -> None:
    of = pod(container("app"), policy="Always")
    why = pressure_eviction(Candidate(pod=of), MEMORY, READINGS)
    begun = decide(given(of, *running(of, "app"), eviction=why))
    ended = decide(given(of, eviction=why, record=begun.record, sandboxes=()))
    assert (ended.status["phase"], ended.status["reason"], ended.status["message"]) == (
        "Failed",
        "Evicted",
        why.message,
    )
    target = next(c for c in ended.status["conditions"] if c["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", why.message)
