"""While nothing happens, a node with many pods asks little: the API server for its lease, the engine for the relist."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .controlplane import ControlPlane
from .nodes import NodeProcess, make_image, on, shell
from .relay import Relay
from .showing import Json, apply, pod
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

PODS = 12
BEATS = 3  # renewals of the lease, 10 s from one to the next
CALLS_OF_A_LOOK = 3  # list, and inspect of the sandbox and the container
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


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


@pytest.fixture
def plane(audit: Audit) -> Iterator[ControlPlane]:
    with ControlPlane.start(flags=audit.flags) as plane:
        yield plane


def beat(plane: ControlPlane, node: str) -> str:
    return str(plane.get("lease", node, "--namespace=kube-node-lease")["spec"]["renewTime"])


def test_a_node_with_many_pods_is_quiet(
    plane: ControlPlane, audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image()
    relay, name = Relay(tmp_path / "engine.sock"), f"node-{uuid4().hex[:8]}"
    relay.open()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
    with NodeProcess(plane, name, tmp_path, plane.kubeconfig):
        for number in range(PODS):
            apply(plane, "default", pod(f"idle-{number}", on(name, shell("app", "exec sleep 3600"))))
        plane.kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=60s", seconds=70)
        seen = {beat(plane, name)}
        eventually(lambda: seen.add(beat(plane, name)) or len(seen) > 1, 30)  # what the start set off is over
        engine_before, api_before = relay.requests, len(audit.asked("vkprovider"))
        eventually(lambda: seen.add(beat(plane, name)) or len(seen) > 1 + BEATS, 60)
        engine_calls = relay.requests - engine_before
        asked = Counter(f"{e['verb']} {e['objectRef']['resource']}" for e in audit.asked("vkprovider")[api_before:])
        plane.kubectl("delete", "pods", "--all", "--grace-period=0", "--force")
    beats = sum(count for what, count in asked.items() if what.endswith(" leases"))
    others = {what: count for what, count in asked.items() if not what.endswith(" leases")}
    assert BEATS <= beats <= 2 * BEATS
    assert sum(others.values()) <= 2, others  # a watch that was renewed, the Node's status
    relists = 2  # of one every 30 s
    assert engine_calls <= relists * CALLS_OF_A_LOOK * PODS + 20 * BEATS
