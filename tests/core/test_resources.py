"""Requests and limits as the kernel's numbers, and the pod's quality of service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, native, pod
from vkprovider.core.resources import container_limits, pod_limits, pod_memory_limit, qos_class, unshared_limits
from vkprovider.model.create import Limits
from vkprovider.model.pod import Pod

GI = 1024**3
NODE = 8 * GI


def asking(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


def limits_of(of: Pod, name: str = "app") -> Limits:
    containers = of.spec.containers + of.spec.init_containers
    return container_limits(of.spec, next(c for c in containers if c.name == name), NODE)


BOTH = {"cpu": "500m", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("containers", "inits", "qos"),
    [
        ([{}], [], "BestEffort"),
        ([asking({"cpu": "0"}, {"memory": 0})], [], "BestEffort"),
        ([asking({"ephemeral-storage": "1Gi"})], [], "BestEffort"),
        ([asking(BOTH, BOTH)], [], "Guaranteed"),
        ([asking({"cpu": "0.5", "memory": "1024Mi"}, BOTH)], [], "Guaranteed"),
        ([asking(None, BOTH)], [], "Guaranteed"),
        ([asking(BOTH, BOTH), asking(BOTH, BOTH)], [asking(BOTH, BOTH)], "Guaranteed"),
        ([asking(BOTH, BOTH), {}], [], "Burstable"),
        ([asking(BOTH, BOTH)], [{}], "Burstable"),
        ([asking({"cpu": "400m", "memory": "1Gi"}, BOTH)], [], "Burstable"),
        ([asking(BOTH)], [], "Burstable"),
        ([asking(None, {"cpu": "1"})], [], "Burstable"),
        ([{}], [asking({"memory": "1Mi"})], "Burstable"),
    ],
)
def test_quality_of_service(containers: list[dict[str, Any]], inits: list[dict[str, Any]], qos: str) -> None:
    given = pod(
        *(container(f"c{n}", **fields) for n, fields in enumerate(containers)),
        inits=tuple(container(f"i{n}", **fields) for n, fields in enumerate(inits)),
    )
    assert qos_class(given.spec) == qos


@pytest.mark.parametrize(
    ("requests", "limits", "shares"),
    [
        (None, None, 2),
        ({"cpu": "1m"}, None, 2),
        ({"cpu": "100m"}, None, 102),
        ({"cpu": "2"}, {"cpu": "4"}, 2048),
        (None, {"cpu": "4"}, 4096),
        ({"cpu": "0"}, {"cpu": "4"}, 2),
        ({"cpu": "1000"}, None, 262_144),
    ],
)
def test_cpu_shares(requests: dict[str, Any] | None, limits: dict[str, Any] | None, shares: int) -> None:
    assert limits_of(pod(container("app", **asking(requests, limits)))).cpu_shares == shares


@pytest.mark.parametrize(("limit", "quota"), [(None, 0), ("0", 0), ("1m", 1000), ("250m", 25_000), ("2.5", 250_000)])
def test_cpu_quota(limit: str | None, quota: int) -> None:
    found = limits_of(pod(container("app", **asking(None, {"cpu": limit} if limit else {}))))
    assert (found.cpu_quota, found.cpu_period) == (quota, 100_000)


@pytest.mark.parametrize(("limit", "memory"), [(None, 0), ("64Mi", 64 * 1024**2), (1000, 1000), ("1500m", 2)])
def test_memory(limit: str | int | None, memory: int) -> None:
    assert limits_of(pod(container("app", **asking(None, {"memory": limit} if limit else {})))).memory == memory


@pytest.mark.parametrize(
    ("requests", "limits", "score"),
    [
        (None, None, 1000),
        (BOTH, BOTH, -997),
        ({"memory": "2Gi"}, None, 750),
        ({"cpu": "1"}, None, 999),
        ({"memory": "1"}, None, 999),
        ({"memory": "8Gi"}, None, 3),
        ({"memory": "99Gi"}, None, 3),
        (None, {"memory": "4Gi"}, 500),
    ],
)
def test_oom_score(requests: dict[str, Any] | None, limits: dict[str, Any] | None, score: int) -> None:
    assert limits_of(pod(container("app", **asking(requests, limits)))).oom_score_adj == score


def test_a_sidecar_is_not_taken_before_the_containers_it_serves() -> None:
    given = pod(
        container("small", **asking({"memory": "2Gi"})),
        container("large", **asking({"memory": "6Gi"})),
        inits=(native("lean"), native("fat", **asking({"memory": "4Gi"})), container("plain")),
    )
    scores = {name: limits_of(given, name).oom_score_adj for name in ("small", "large", "lean", "fat", "plain")}
    assert scores == {"small": 750, "large": 250, "lean": 750, "fat": 500, "plain": 999}


# --- of the pod as a whole --------------------------------------------------------------------------------------


def whole(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


@pytest.mark.parametrize(
    ("of", "qos"),
    [
        (pod(container("app"), **whole(BOTH, BOTH)), "Guaranteed"),
        (pod(container("app"), **whole(None, BOTH)), "Guaranteed"),
        (pod(container("app", **asking({"cpu": "100m"})), **whole(None, BOTH)), "Burstable"),
        (pod(container("app", **asking(BOTH, BOTH)), **whole(BOTH)), "Burstable"),
        (pod(container("app"), **whole(None, {"memory": "1Gi"})), "Burstable"),
        (pod(container("app"), **whole({"cpu": "1"})), "Burstable"),
        (pod(container("app", **asking(BOTH, BOTH)), **whole()), "BestEffort"),
    ],
)
def test_quality_of_service_of_a_pod_as_a_whole(of: Pod, qos: str) -> None:
    assert qos_class(of.spec) == qos


@pytest.mark.parametrize(
    ("own", "requests", "limits", "found"),
    [
        (asking(), None, BOTH, (512, 50_000, GI)),
        (asking({"cpu": "100m"}), None, BOTH, (102, 50_000, GI)),
        (asking(None, {"cpu": "250m"}), None, BOTH, (256, 25_000, GI)),
        (asking(None, {"memory": "64Mi"}), None, BOTH, (512, 50_000, 64 * 1024**2)),
        (asking(), BOTH, None, (2, 0, 0)),
    ],
)
def test_a_container_without_a_limit_has_its_pods(
    own: dict[str, Any],
    requests: dict[str, Any] | None,
    limits: dict[str, Any] | None,
    found: tuple[int, int, int],
) -> None:
    made = limits_of(pod(container("app", **own), **whole(requests, limits)))
    assert (made.cpu_shares, made.cpu_quota, made.memory) == found


@pytest.mark.parametrize(
    ("containers", "inits", "requests", "scores"),
    [
        (({}, {}), (), {"memory": "4Gi"}, [750, 750]),
        ((asking({"memory": "2Gi"}), {}), (), {"memory": "4Gi"}, [625, 875]),
        (({},), (native("side", **asking({"memory": "1Gi"})),), {"memory": "3Gi"}, [875, 750]),
        (({},), (native("side"),), {"memory": "4Gi"}, [750, 750]),
        (({},), (), {"cpu": "1"}, [999]),
    ],
)
def test_what_the_pod_asks_for_beyond_its_containers_protects_them_all(
    containers: tuple[dict[str, Any], ...],
    inits: tuple[dict[str, Any], ...],
    requests: dict[str, Any],
    scores: list[int],
) -> None:
    made = pod(*(container(f"c{n}", **c) for n, c in enumerate(containers)), inits=inits, **whole(requests))
    every = (*made.spec.containers, *made.spec.init_containers)
    assert [container_limits(made.spec, each, NODE).oom_score_adj for each in every] == scores


def test_who_keeps_the_node_alive_is_taken_last() -> None:
    assert limits_of(pod(container("app"), priorityClassName="system-node-critical")).oom_score_adj == -997
    assert limits_of(pod(container("app"), priorityClassName="system-cluster-critical")).oom_score_adj == 1000


def test_limits_of_a_pod() -> None:
    assert pod_limits(pod(container("app", **asking(BOTH, BOTH))).spec) is None
    assert pod_limits(pod(container("app"), **whole(BOTH)).spec) is None
    both = pod_limits(pod(container("a", **asking({"cpu": "100m"})), container("b"), **whole(None, BOTH)).spec, 50)
    assert both == Limits(cpu_shares=102, cpu_quota=50_000, memory=GI, pids=50)
    assert pod_limits(pod(container("app", **asking({"cpu": "1"}))).spec, 9) == Limits(cpu_shares=1024, pids=9)


def test_the_overhead_of_a_runtime_is_on_top() -> None:
    over = {"cpu": "500m", "memory": "1Gi"}
    both = pod_limits(pod(container("app"), **whole(None, BOTH), overhead=over).spec)
    assert both == Limits(cpu_shares=1024, cpu_quota=100_000, memory=2 * GI)
    half = pod_limits(pod(container("app"), **whole(None, {"memory": "1Gi"}), overhead=over).spec)
    assert half == Limits(cpu_shares=512, cpu_quota=0, memory=2 * GI)


def test_what_is_said_where_they_cannot_be_kept() -> None:
    two = pod(container("a"), container("b"), **whole(None, {"memory": "1Gi"}))
    assert unshared_limits(two.spec).startswith("the limits of the pod as a whole (memory 1Gi) hold for each of its")
    assert unshared_limits(pod(container("a"), **whole(None, BOTH)).spec) == ""
    assert unshared_limits(pod(container("a"), container("b")).spec) == ""


def memory(amount: str) -> dict[str, Any]:
    return asking(None, {"memory": amount})


@pytest.mark.parametrize(
    ("containers", "inits", "total"),
    [
        ([memory("1Gi"), memory("2Gi")], [], 3 * GI),
        ([memory("1Gi"), {}], [], 0),
        ([memory("1Gi")], [container("i")], 0),
        ([memory("1Gi")], [native("s", **memory("1Gi"))], 2 * GI),
        ([memory("1Gi")], [native("s", **memory("1Gi")), container("i", **memory("4Gi"))], 5 * GI),
        ([memory("1Gi")], [container("i", **memory("4Gi")), native("s", **memory("1Gi"))], 4 * GI),
    ],
)
def test_memory_of_the_whole_pod(containers: list[dict[str, Any]], inits: list[dict[str, Any]], total: int) -> None:
    given = pod(*(container(f"c{n}", **fields) for n, fields in enumerate(containers)), inits=tuple(inits))
    assert pod_memory_limit(given.spec) == total


def test_a_pod_as_a_whole_may_have_less_memory_than_its_containers() -> None:
    given = pod(container("a", **memory("1Gi")), container("b", **memory("1Gi")), **whole(None, {"memory": "1Gi"}))
    assert pod_memory_limit(given.spec) == GI
