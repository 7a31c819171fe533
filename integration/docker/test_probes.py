"""Probes against real containers: each kind of action, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.docker.own_node import own_node, unhealthy
from integration.docker.pods import ALWAYS, IDLE, UNTIL_TERM, pod, shell
from integration.docker.probed_servers import probed_servers
from integration.docker.records import KILL, TERM, Instance, Records, no_sandboxes
from vkprovider.node.probe_tally import ProbeTally

pytestmark = pytest.mark.docker

OFTEN = {"periodSeconds": 1, "failureThreshold": 1}


def execute(script: str, **fields: Any) -> dict[str, Any]:
    return {"exec": {"command": ["sh", "-c", script]}} | OFTEN | fields


def instances(records: Records, node: str, name: str) -> list[Instance]:
    records.catch_up()
    return [i for i in no_sandboxes(records.instances(node)) if i.name == name]


async def test_a_liveness_probe_of_each_kind_restarts_its_container_alone(records: Records, tmp_path: Path) -> None:
    soon = OFTEN | {"initialDelaySeconds": 1}  # when the trap is set
    failing: dict[str, dict[str, Any]] = {
        "exec": execute("echo no cheese; exit 1", **soon),
        "http": {"httpGet": {"port": 81}} | soon,
        "tcp": {"tcpSocket": {"port": 82}} | soon,
        "grpc": {"grpc": {"port": 83}} | soon,
    }
    containers = [shell(name, UNTIL_TERM, livenessProbe=probe) for name, probe in failing.items()]
    healthy = shell("healthy", UNTIL_TERM, livenessProbe=execute("true"))
    async with own_node(records, tmp_path) as node:
        node.run(pod("live", *containers, healthy, restartPolicy="Always"))
        witness = node.witness
        for name in failing:
            status = await witness.until_restarted(name)
            assert status["lastState"]["terminated"]["exitCode"] == 0
            killing = await witness.until_event(name, "Killing")
            assert killing.message == f"Container {name} failed liveness probe, will be restarted"
        said = {name: min(unhealthy(witness.of(name))) for name in failing}
        ip = witness.published[-1]["podIP"]
        assert witness.statuses("healthy")[-1]["restartCount"] == 0
    refused = "connect: connection refused"
    assert said == {
        "exec": "Liveness probe failed: no cheese\n",
        "http": f'Liveness probe failed: Get "http://{ip}:81/": dial tcp {ip}:81: {refused}',
        "tcp": f"Liveness probe failed: dial tcp {ip}:82: {refused}",
        "grpc": f'Liveness probe failed: timeout: failed to connect service "{ip}:83" within 1s: '
        "context deadline exceeded",
    }


async def test_what_makes_a_container_ready(records: Records, tmp_path: Path) -> None:
    """On the node's network, so that the probes come to this process."""
    tally = ProbeTally()
    async with probed_servers(tmp_path) as ports, own_node(records, tmp_path, tally=tally) as node:
        header = {"httpHeaders": [{"name": "Host", "value": "pods.example"}, {"name": "X-Probe", "value": "yes"}]}
        good: dict[str, dict[str, Any]] = {
            "named": {"httpGet": {"port": "web"}},
            "followed": {"httpGet": {"port": ports.http, "path": "/here"}},
            "elsewhere": {"httpGet": {"port": ports.http, "path": "/elsewhere"}},
            "header": {"httpGet": {"port": ports.http, "path": "/header"} | header},
            "https": {"httpGet": {"port": ports.https, "scheme": "HTTPS"}},
            "tcp": {"tcpSocket": {"port": ports.http, "host": "127.0.0.1"}},
            "grpc": {"grpc": {"port": ports.healthy, "service": "cheese"}},
        }
        bad: dict[str, dict[str, Any]] = {
            "http-bad": {"httpGet": {"port": ports.http, "path": "/bad"}},
            "grpc-bad": {"grpc": {"port": ports.unhealthy}},
        }
        containers = [shell(name, UNTIL_TERM, readinessProbe=probe | OFTEN) for name, probe in (good | bad).items()]
        containers[0]["ports"] = [{"name": "web", "containerPort": ports.http}]
        node.run(pod("ready", *containers, hostNetwork=True, restartPolicy="Always"))
        await node.witness.until_ready(*good)
        bad_http = await node.witness.until_event("http-bad", "Unhealthy")
        bad_grpc = await node.witness.until_event("grpc-bad", "Unhealthy")
        warned = await node.witness.until_event("elsewhere", "ProbeWarning")
        assert [node.witness.statuses(name)[-1]["ready"] for name in bad] == [False, False]
        assert node.witness.conditions()["Ready"] == "False"
        asked, (headers, *_) = set(ports.asked.bodies), ports.asked.headers
        counted = {(labels.container, labels.probe_type, labels.result) for labels in tally.totals}
    assert bad_http.message == "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert bad_grpc.message == 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    assert warned.message == "Readiness probe warning: Probe terminated redirects, Response body: over there"
    assert asked == {b"\0\0\0\0\x08\x0a\x06cheese"}
    assert headers["user-agent"] == "kube-probe/1.34"
    expected = {(name, "Readiness", "successful") for name in good} | {(name, "Readiness", "failed") for name in bad}
    assert counted == expected


async def test_a_command_that_takes_too_long_is_ended(records: Records, tmp_path: Path) -> None:
    probe = {"exec": {"command": ["sleep", "7777"]}, "periodSeconds": 300}
    async with own_node(records, tmp_path) as node:
        node.run(pod("slow", shell("app", UNTIL_TERM, readinessProbe=probe)))
        event = await node.witness.until_event("app", "Unhealthy")
        assert event.message == 'Readiness probe failed: command timed out: "sleep 7777" timed out after 1s'
        assert not any("7777" in program for program in records.programs(await node.container("app")))


async def test_readiness_is_probed_at_once_when_the_container_has_started(records: Records, tmp_path: Path) -> None:
    script = f"sleep 1; touch /tmp/up; {UNTIL_TERM}"
    probes = {
        "startupProbe": execute("test -e /tmp/up", failureThreshold=30),
        "readinessProbe": execute("true", periodSeconds=1000),
        "livenessProbe": execute("test -e /tmp/up"),
    }
    async with own_node(records, tmp_path) as node:
        node.run(pod("starts", shell("app", script, **probes)))
        await node.witness.until_ready("app")
        assert node.witness.statuses("app")[-1]["restartCount"] == 0
        seen = [(status["started"], status["ready"]) for status in node.witness.statuses("app")]
    assert seen[-1] == (True, True)
    assert (False, True) not in seen


async def test_a_probes_own_grace_counts(records: Records, tmp_path: Path) -> None:
    probe = execute("exit 1", terminationGracePeriodSeconds=3)
    async with own_node(records, tmp_path) as node:
        node.run(pod("stubborn", shell("app", IDLE, livenessProbe=probe), restartPolicy="Always"))
        await node.witness.until_restarted("app")
    first, *_ = instances(records, node.name, "app")
    assert first.signal_numbers == [TERM, KILL]
    assert first.signalled(KILL) - first.signalled(TERM) == pytest.approx(3, abs=1)  # not the pod's 30


async def test_a_result_is_of_one_instance(records: Records, tmp_path: Path) -> None:
    """The first instance becomes ready, the second never does."""
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    script = f"[ -e /shared/once ] || touch /tmp/ready; touch /shared/once; {UNTIL_TERM}"
    app = shell("app", script, readinessProbe=execute("test -e /tmp/ready"), **shared)
    async with own_node(records, tmp_path) as node:
        node.run(pod("twice", app, restartPolicy="Always", volumes=[{"name": "shared", "emptyDir": {}}]))
        await node.witness.until_ready("app")
        before = len(node.witness.events)
        records.client.kill(await node.container("app"))
        await node.witness.until_restarted("app")
        await node.witness.until(
            lambda: any(e.reason == "Unhealthy" for e in node.witness.events[before:]), "the new one is probed"
        )
        second = [status["ready"] for status in node.witness.statuses("app") if status["restartCount"] == 1]
    assert second
    assert not any(second)


async def test_the_probes_of_a_native_sidecar(records: Records, tmp_path: Path) -> None:
    """As in the Kubernetes sidecar post: liveness restarts it alone, readiness counts for the pod."""
    failing = shell("failing", UNTIL_TERM, livenessProbe=execute("exit 1", initialDelaySeconds=1)) | ALWAYS
    unready = shell("unready", UNTIL_TERM, readinessProbe=execute("exit 1")) | ALWAYS
    async with own_node(records, tmp_path) as node:
        node.run(pod("sidecars", shell("app", UNTIL_TERM), initContainers=[failing, unready]))
        await node.witness.until_restarted("failing")
        killing = await node.witness.until_event("failing", "Killing")
        complaint = await node.witness.until_event("unready", "Unhealthy")
        await node.witness.until_ready("app")
        assert node.witness.conditions()["Ready"] == "False"
        assert [node.witness.statuses(name)[-1]["restartCount"] for name in ("app", "unready")] == [0, 0]
    assert killing.message == "Init container failing failed liveness probe"
    assert complaint.message == "Readiness probe failed: "
