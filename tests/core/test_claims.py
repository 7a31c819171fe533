from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, native, pod
from vkprovider.core.claims import HostPort, claim, collide


def asking(cpu: str, memory: str = "0") -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}}


def test_containers_run_side_by_side() -> None:
    taken = claim(pod(container("a", resources=asking("100m", "1Mi")), container("b", resources=asking("1", "1"))))
    assert taken.amounts == {"cpu": 1100, "memory": 1048577}


def test_a_plain_init_container_counts_only_where_it_needs_more() -> None:
    app = container("app", resources=asking("500m", "1Gi"))
    taken = claim(pod(app, inits=(container("init", resources=asking("2", "1Mi")),)))
    assert taken.amounts == {"cpu": 2000, "memory": 1 << 30}


def test_sidecars_count_for_the_whole_life_and_beside_the_inits_that_follow_them() -> None:
    first = container("first", resources=asking("300m"))
    sidecar = native("sidecar", resources=asking("200m"))
    second = container("second", resources=asking("900m"))
    app = container("app", resources=asking("100m"))
    assert claim(pod(app, inits=(first, sidecar))).amounts["cpu"] == 300
    assert claim(pod(app, inits=(first, sidecar, second))).amounts["cpu"] == 1100
    assert claim(pod(app, inits=(second, sidecar))).amounts["cpu"] == 900
    large = container("app", resources=asking("1"))
    assert claim(pod(large, inits=(second, sidecar))).amounts["cpu"] == 1200


def test_a_limit_alone_is_a_request_and_overhead_comes_on_top() -> None:
    limited = container("app", resources={"limits": {"cpu": "1", "memory": "10"}, "requests": {"cpu": "250m"}})
    taken = claim(pod(limited, overhead={"cpu": "50m", "ephemeral-storage": "1Ki"}))
    assert taken.amounts == {"cpu": 300, "memory": 10, "ephemeral-storage": 1024}


def test_a_sum_is_rounded_up_once() -> None:
    tiny = [container(name, resources=asking("100u", "500m")) for name in "abc"]
    assert claim(pod(*tiny)).amounts == {"cpu": 1, "memory": 2}


def test_host_ports_of_what_lasts() -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]
    dns = [{"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"}]
    taken = claim(
        pod(container("a", ports=ports), inits=(native("s", ports=dns), container("i", ports=[_port(9)]))),
    )
    assert taken.ports == {HostPort(8080), HostPort(53, "UDP", "10.0.0.1")}


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (HostPort(80), HostPort(80), False),
        (HostPort(80), HostPort(81), True),
        (HostPort(80), HostPort(80, "UDP"), True),
        (HostPort(80), HostPort(80, ip="10.0.0.1"), False),
        (HostPort(80, ip="10.0.0.1"), HostPort(80), False),
        (HostPort(80, ip="10.0.0.1"), HostPort(80, ip="10.0.0.2"), True),
    ],
)
def test_ports_collide(one: HostPort, other: HostPort, together: bool) -> None:
    assert collide(frozenset({one}), frozenset({other})) is not together


def _port(number: int) -> dict[str, int]:
    return {"containerPort": number, "hostPort": number}


def test_what_a_pod_asks_for_as_a_whole_takes_the_place_of_what_its_containers_do() -> None:
    asking = {"resources": {"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}}}
    of = pod(container("a", **asking), container("b", **asking), resources={"requests": {"cpu": "3"}})
    assert claim(of).amounts == {"cpu": 3000, "memory": 2 << 30, "ephemeral-storage": 2 << 30}
    limited = pod(container("a", **asking), resources={"limits": {"cpu": "3", "memory": "2Gi"}})
    assert claim(limited).amounts == {"cpu": 1000, "memory": 1 << 30, "ephemeral-storage": 1 << 30}
    bare = pod(container("a"), resources={"limits": {"cpu": "3", "memory": "2Gi"}}, overhead={"cpu": "1"})
    assert claim(bare).amounts == {"cpu": 4000, "memory": 2 << 30}
