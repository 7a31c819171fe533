"""While nothing happens, a node with many pods asks little: the API server for its lease, the engine for one list."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .controlplane import ControlPlane
from .nodes import NodeProcess, make_image, on, shell
from .relay import Relay
from .showing import Json, apply, pod, state
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

PODS = 12
BEATS = 3  # renewals of the lease, 10 s from one to the next
RELISTS = 2  # in so long a time, of one every 30 s
LOOKS = 13  # of 12 pods few have their turn in two relists; two are young again, and looked at by each
CALLS_OF_A_LOOK = 3  # list, and inspect of the sandbox and the container
OTHER_CALLS = 10
RELIST_SECONDS, FRESH_SECONDS = 30, 60
POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}


class Audit:
    """A control plane of its own that writes down all requests."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "audit.log"
        policy = folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        self.flags = {"kube-apiserver": [f"--audit-policy-file={policy}", f"--audit-log-path={self._log}"]}

    def asked(self, agent: str) -> list[Json]:
        """What a program has asked for, each request once."""
        entries = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [e for e in entries if e["userAgent"].startswith(agent) and e["stage"] == "RequestReceived"]


class Idle:
    """A node whose pods do nothing."""

    def __init__(self, plane: ControlPlane, node: str) -> None:
        self._plane = plane
        self._node = node

    def beat(self) -> str:
        return str(self._plane.get("lease", self._node, "--namespace=kube-node-lease")["spec"]["renewTime"])

    def status(self, pod: str) -> Json:
        status: Json = self._plane.get("pod", pod)["status"]
        return status

    def started_at(self, pod: str) -> str:
        return str(state(self.status(pod), "app")[1]["startedAt"])

    def docker(self, *command: str, pod: str) -> None:
        """Do something to a pod's container behind the node's back."""
        uid = self._plane.get("pod", pod)["metadata"]["uid"]
        subprocess.run(["docker", *command, f"k8s_app_{pod}_default_{uid}_0"], check=True, capture_output=True)


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


@pytest.fixture
def plane(audit: Audit) -> Iterator[ControlPlane]:
    with ControlPlane.start(flags=audit.flags) as plane:
        yield plane


@pytest.mark.timeout(240)  # pods are young for a minute
def test_a_node_with_many_pods_is_quiet_and_yet_misses_nothing(
    plane: ControlPlane, audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image()
    relay, name = Relay(tmp_path / "engine.sock"), f"node-{uuid4().hex[:8]}"
    relay.open()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
    with NodeProcess(plane, name, tmp_path, plane.kubeconfig):
        idle = Idle(plane, name)
        for number in range(PODS):
            apply(plane, "default", pod(f"idle-{number}", on(name, shell("app", "exec sleep 3600"))))
        plane.kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=60s", seconds=70)
        old_at = time.monotonic() + FRESH_SECONDS
        misses_nothing(idle, relay)
        eventually(lambda: time.monotonic() > old_at, FRESH_SECONDS + 1)
        is_quiet(idle, relay, audit)
        plane.kubectl("delete", "pods", "--all", "--grace-period=0", "--force")


def misses_nothing(idle: Idle, relay: Relay) -> None:
    """What the engine does not tell is seen when all are listed: an end, and a restart after which all is as before."""
    before = idle.started_at("idle-0")
    relay.deaf = True
    idle.docker("restart", "--time=0", pod="idle-0")
    idle.docker("kill", pod="idle-1")
    eventually(lambda: idle.status("idle-1")["phase"] == "Failed", RELIST_SECONDS + 10)
    eventually(lambda: idle.started_at("idle-0") > before)
    relay.deaf = False


def is_quiet(idle: Idle, relay: Relay, audit: Audit) -> None:
    seen = {idle.beat()}
    eventually(lambda: seen.add(idle.beat()) or len(seen) > 1, 30)
    engine_before, api_before = relay.requests, len(audit.asked("vkprovider"))
    eventually(lambda: seen.add(idle.beat()) or len(seen) > 1 + BEATS, 60)
    engine_calls = relay.requests - engine_before
    asked = Counter(f"{e['verb']} {e['objectRef']['resource']}" for e in audit.asked("vkprovider")[api_before:])
    beats = sum(count for what, count in asked.items() if what.endswith(" leases"))
    others = {what: count for what, count in asked.items() if not what.endswith(" leases")}
    assert BEATS <= beats <= 2 * BEATS
    assert sum(others.values()) <= 2, others  # a watch that was renewed, the Node's status
    assert engine_calls <= RELISTS + LOOKS * CALLS_OF_A_LOOK + OTHER_CALLS
